package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/rs/zerolog"
)

// ErrNoToken and ErrBadToken are what [Gate.Authenticate] returns, wrapped with the reason. The reason
// holds nothing of the token and may be shown.
var (
	ErrNoToken  = errors.New("a bearer token is needed: Authorization: Bearer <token>")
	ErrBadToken = errors.New("the bearer token is not accepted")
)

// maxTokenBytes bounds what is hashed and parsed for somebody unknown.
const maxTokenBytes = 8 << 10

// Gate knows callers by their tokens. Safe for concurrent use.
type Gate struct {
	open   bool
	tokens *reloaded[map[[sha256.Size]byte]Principal]
	jwts   *jwts
}

// New makes the Gate of a server that listens on addr. Without tokens and keys it lets everybody in,
// which is refused unless addr is a loopback one. ctx ends the refreshing of a remote JWKS.
func New(ctx context.Context, set Settings, addr string, log zerolog.Logger) (*Gate, error) {
	if err := set.Validate(); err != nil {
		return nil, err
	}
	g := &Gate{open: !set.Enabled()}
	if g.open {
		host, _, err := net.SplitHostPort(addr)
		if err != nil || !loopback(host) {
			return nil, fmt.Errorf("authentication is off, which is possible only on loopback, and the server listens on %s: "+
				"set AUTH_TOKENS_FILE or AUTH_JWKS, or listen on 127.0.0.1", addr)
		}
		log.Warn().Str("addr", addr).Msg("AUTHENTICATION IS OFF: every process and every user of this machine may do anything here; set AUTH_TOKENS_FILE or AUTH_JWKS")
		return g, nil
	}
	var err error
	if set.TokensFile != "" {
		if g.tokens, err = reload("AUTH_TOKENS_FILE", set.TokensFile, parseTokens, log); err != nil {
			return nil, err
		}
	}
	if set.JWKS != "" {
		if g.jwts, err = newJWTs(ctx, set, log); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// Open reports whether everybody is let in.
func (g *Gate) Open() bool { return g.open }

// Authenticate says who sent the request.
func (g *Gate) Authenticate(r *http.Request) (Principal, error) {
	if g.open {
		return everybody, nil
	}
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		return Principal{}, ErrNoToken
	}
	scheme, token, ok := strings.Cut(headers[0], " ")
	if token = strings.TrimSpace(token); len(headers) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return Principal{}, fmt.Errorf("%w: the Authorization header must be one, and read: Bearer <token>", ErrBadToken)
	}
	if len(token) > maxTokenBytes {
		return Principal{}, fmt.Errorf("%w: it is longer than %d bytes", ErrBadToken, maxTokenBytes)
	}
	if g.tokens != nil {
		if p, ok := g.tokens.get()[sha256.Sum256([]byte(token))]; ok {
			return p, nil
		}
	}
	if g.jwts != nil {
		return g.jwts.principal(r.Context(), token)
	}
	return Principal{}, fmt.Errorf("%w: it is unknown here", ErrBadToken)
}

// Wrap lets only those in who say who they are; next finds them by [From]. The others get 401.
func (g *Gate) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := g.Authenticate(r)
		if err != nil {
			Refuse(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(With(r.Context(), p)))
	})
}

// Refuse answers 401 with the reason and the challenge of RFC 6750.
func Refuse(w http.ResponseWriter, err error) {
	challenge := `Bearer realm="agentbus"`
	if !errors.Is(err, ErrNoToken) {
		challenge += `, error="invalid_token"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	Problem(w, http.StatusUnauthorized, err.Error())
}
