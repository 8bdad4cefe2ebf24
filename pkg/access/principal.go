package access

import (
	"context"
	"fmt"
	"regexp"
	"time"
)

// Principal is who makes a request.
type Principal struct {
	Subject  string
	Tenant   string // 1 to 64 letters, digits, dots, dashes, underscores
	Operator bool   // sees every tenant, and what belongs to none
	// Expires is when the token does, for connections that outlive it; zero: never.
	Expires time.Time
}

// MaySee reports whether what belongs to tenant may be shown to p; "" belongs to nobody.
func (p Principal) MaySee(tenant string) bool {
	return p.Operator || (tenant != "" && tenant == p.Tenant)
}

// everybody is who comes through an open door.
var everybody = Principal{Subject: "anonymous", Tenant: "default", Operator: true}

var (
	tenantPattern  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	subjectPattern = regexp.MustCompile(`^[\x21-\x7e]{1,128}$`)
)

func (p Principal) validate() error {
	if !subjectPattern.MatchString(p.Subject) {
		return fmt.Errorf("subject %.140q: must be 1 to 128 printable characters without blanks", p.Subject)
	}
	if !tenantPattern.MatchString(p.Tenant) {
		return fmt.Errorf("tenant %.70q: must be 1 to 64 letters, digits, dots, dashes or underscores", p.Tenant)
	}
	return nil
}

type principalKey struct{}

// With returns a context that carries p.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From is the principal that [Gate.Wrap] put into a request's context; the zero one, who may see
// nothing, when there is none.
func From(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}
