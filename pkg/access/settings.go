package access

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Settings are read from the environment. Both kinds of tokens may be accepted side by side.
type Settings struct {
	AllowedHosts  []string `envconfig:"ALLOWED_HOSTS" desc:"host:port by which browsers may reach this server, checked in Host and Origin; default: localhost, 127.0.0.1 and [::1] with the port listened on"`
	TokensFile    string   `envconfig:"AUTH_TOKENS_FILE" desc:"static bearer tokens, one per line: sha256:<hex of the token> <subject> <tenant> [operator]; read again when it changes"`
	JWKS          string   `envconfig:"AUTH_JWKS" desc:"keys that sign JWTs: the https URL of a JWKS, or a file"`
	Issuer        string   `envconfig:"AUTH_JWT_ISSUER" desc:"iss that a JWT must have; needed with AUTH_JWKS"`
	Audience      string   `envconfig:"AUTH_JWT_AUDIENCE" default:"agentbus" desc:"aud that a JWT must have"`
	TenantClaim   string   `envconfig:"AUTH_JWT_TENANT_CLAIM" default:"tenant" desc:"claim of a JWT that names the tenant"`
	OperatorScope string   `envconfig:"AUTH_JWT_OPERATOR_SCOPE" default:"agentbus:operate" desc:"scope that makes a JWT's subject an operator"`
}

// Enabled reports whether callers must say who they are.
func (c *Settings) Enabled() bool { return c.TokensFile != "" || c.JWKS != "" }

// Validate implements the optional method of configurations.
func (c *Settings) Validate() error {
	if _, err := NewGuard(c.AllowedHosts); err != nil {
		return fmt.Errorf("ALLOWED_HOSTS: %w", err)
	}
	if c.JWKS == "" {
		return nil
	}
	switch {
	case c.Issuer == "":
		return errors.New("AUTH_JWT_ISSUER is not set: with AUTH_JWKS it names the iss that a JWT must have")
	case c.Audience == "":
		return errors.New("AUTH_JWT_AUDIENCE is empty: it names the aud that a JWT must have")
	case c.TenantClaim == "":
		return errors.New("AUTH_JWT_TENANT_CLAIM is empty: it names the claim with the tenant")
	}
	if u, remote := c.remoteJWKS(); remote && u.Scheme != "https" && !loopback(u.Hostname()) {
		return fmt.Errorf("AUTH_JWKS=%s: must be https, or anybody on the way can add a key", u.Redacted())
	}
	return nil
}

// remoteJWKS tells a URL from a file.
func (c *Settings) remoteJWKS() (*url.URL, bool) {
	if !strings.HasPrefix(c.JWKS, "http://") && !strings.HasPrefix(c.JWKS, "https://") {
		return nil, false
	}
	u, err := url.Parse(c.JWKS)
	return u, err == nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
