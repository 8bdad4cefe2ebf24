package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

// methods are the accepted algorithms: public keys only. A JWKS may be seen by all, so a shared secret
// in it (HS256) would let anybody sign; "none" needs no key at all.
var methods = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// leeway is how far the issuer's clock may be off.
const leeway = 30 * time.Second

// jwts accepts signed tokens.
type jwts struct {
	keys          func() keyfunc.Keyfunc
	parser        *jwt.Parser
	tenantClaim   string
	operatorScope string
}

func newJWTs(ctx context.Context, set Settings, log zerolog.Logger) (*jwts, error) {
	j := &jwts{
		parser: jwt.NewParser(jwt.WithValidMethods(methods), jwt.WithIssuer(set.Issuer), jwt.WithAudience(set.Audience),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway)),
		tenantClaim: set.TenantClaim, operatorScope: set.OperatorScope,
	}
	if u, remote := set.remoteJWKS(); remote {
		keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{set.JWKS}, keyfunc.Override{
			HTTPTimeout: 10 * time.Second, RefreshInterval: 15 * time.Minute,
			// A key that was just added is fetched at once, but strangers' key ids do not make us ask
			// more often than this, and nobody is kept waiting for the next time unless it is near. Nearer
			// than a second is no choice: on a busy machine the wait would be over before it is looked at.
			RefreshUnknownKID: rate.NewLimiter(rate.Every(10*time.Second), 1), RateLimitWaitMax: time.Second,
			RefreshErrorHandlerFunc: func(string) func(context.Context, error) {
				return func(_ context.Context, err error) {
					log.Error().Err(err).Str("url", u.Redacted()).Msg("the JWKS cannot be fetched; the keys known so far stay")
				}
			},
		})
		if err != nil {
			return nil, fmt.Errorf("AUTH_JWKS=%s: %w", u.Redacted(), err)
		}
		j.keys = func() keyfunc.Keyfunc { return keys }
		return j, nil
	}
	file, err := reload("AUTH_JWKS", set.JWKS, func(raw []byte) (keyfunc.Keyfunc, error) {
		return keyfunc.NewJWKSetJSON(raw)
	}, log)
	if err != nil {
		return nil, err
	}
	j.keys = file.get
	return j, nil
}

// principal checks the token's signature, times, issuer and audience and says whom it names.
func (j *jwts) principal(ctx context.Context, token string) (Principal, error) {
	claims := jwt.MapClaims{}
	if _, err := j.parser.ParseWithClaims(token, claims, j.keys().KeyfuncCtx(ctx)); err != nil {
		return Principal{}, fmt.Errorf("%w: %s", ErrBadToken, reason(err))
	}
	p := Principal{Operator: j.operatorScope != "" && slices.Contains(scopes(claims), j.operatorScope)}
	if expires, err := claims.GetExpirationTime(); err == nil && expires != nil { // the parser wants it
		p.Expires = expires.Time
	}
	p.Subject, _ = claims["sub"].(string)
	p.Tenant, _ = claims[j.tenantClaim].(string)
	if err := p.validate(); err != nil {
		return Principal{}, fmt.Errorf("%w: its claims sub and %s do not name a caller: %w", ErrBadToken, j.tenantClaim, err)
	}
	return p, nil
}

// scopes are the words of "scope" (RFC 8693), or the array that some issuers write as "scp" or "scope".
func scopes(claims jwt.MapClaims) []string {
	var out []string
	for _, name := range []string{"scope", "scp"} {
		switch v := claims[name].(type) {
		case string:
			out = append(out, strings.Fields(v)...)
		case []any:
			for _, s := range v {
				if s, ok := s.(string); ok {
					out = append(out, s)
				}
			}
		}
	}
	return out
}

// reason words the library's errors without what they quote from the token.
func reason(err error) string {
	for _, r := range []struct {
		is   error
		says string
	}{
		{jwt.ErrTokenExpired, "it has expired"},
		{jwt.ErrTokenNotValidYet, "it is not valid yet"},
		{jwt.ErrTokenUsedBeforeIssued, "it was issued in the future"},
		{jwt.ErrTokenInvalidAudience, "it is for another audience"},
		{jwt.ErrTokenInvalidIssuer, "it is from another issuer"},
		{jwt.ErrTokenRequiredClaimMissing, "it lacks a claim: iss, aud, exp and sub are needed"},
		{jwt.ErrTokenSignatureInvalid, "its signature does not hold"},
		{jwt.ErrTokenUnverifiable, "its key is not known here"},
		{jwt.ErrTokenMalformed, "it is unknown here, and no JWT"},
	} {
		if errors.Is(err, r.is) {
			return r.says
		}
	}
	return "it is not valid"
}
