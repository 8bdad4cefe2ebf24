package access

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/rs/zerolog"
)

const issuer = "https://issuer.example"

// key signs tokens; its public half goes into a JWKS.
type key struct {
	id      string
	private *ecdsa.PrivateKey
}

func newKey(t *testing.T, id string) key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key{id, private}
}

func jwks(keys ...key) []byte {
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	for _, k := range keys {
		coordinate := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
		set.Keys = append(set.Keys, map[string]string{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": k.id,
			"x": coordinate(k.private.X.FillBytes(make([]byte, 32))), "y": coordinate(k.private.Y.FillBytes(make([]byte, 32)))})
	}
	raw, _ := json.Marshal(set) // strings only
	return raw
}

// claims are good ones, changed by the caller.
func claims(change map[string]any) jwt.MapClaims {
	c := jwt.MapClaims{"iss": issuer, "aud": "agentbus", "sub": "ann", "tenant": "blue", "exp": time.Now().Add(time.Hour).Unix()}
	for name, v := range change {
		if v == nil {
			delete(c, name)
		} else {
			c[name] = v
		}
	}
	return c
}

func (k key) sign(t *testing.T, c jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, c)
	token.Header["kid"] = k.id
	text, err := token.SignedString(k.private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// TestTokens is the matrix of who is let in, as whom, and what the others are told; and no token may be
// found in the log.
func TestTokens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	known, stranger := newKey(t, "k1"), newKey(t, "k1")
	write(t, dir+"/jwks.json", jwks(known))
	write(t, dir+"/tokens", []byte("# people\n"+digest("s3cret-of-bob")+" bob red\n"+digest("s3cret-of-root")+" root ops operator # on call\n"))
	var log bytes.Buffer
	g, err := New(t.Context(), Settings{TokensFile: dir + "/tokens", JWKS: dir + "/jwks.json", Issuer: issuer, Audience: "agentbus",
		TenantClaim: "tenant", OperatorScope: "agentbus:operate"}, "0.0.0.0:80", zerolog.New(&log))
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims(nil)).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	shared := jwt.NewWithClaims(jwt.SigningMethodHS256, claims(nil))
	shared.Header["kid"] = "k1"
	confused, err := shared.SignedString(jwks(known)) // the public key, used as a shared secret
	if err != nil {
		t.Fatal(err)
	}
	good := known.sign(t, claims(nil))
	head, rest, _ := strings.Cut(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"k1"}`))
	body, _, _ := strings.Cut(rest, ".")
	var all []string
	for name, c := range map[string]struct {
		header string
		want   Principal
		says   string
	}{
		"nobody":            {"", Principal{}, "a bearer token is needed"},
		"static":            {"Bearer s3cret-of-bob", Principal{Subject: "bob", Tenant: "red"}, ""},
		"static operator":   {"bearer s3cret-of-root", Principal{Subject: "root", Tenant: "ops", Operator: true}, ""},
		"unknown static":    {"Bearer s3cret-of-eve", Principal{}, "no JWT"},
		"the digest itself": {"Bearer " + digest("s3cret-of-bob"), Principal{}, "no JWT"},
		"other scheme":      {"Basic s3cret-of-bob", Principal{}, "must be one"},
		"no token":          {"Bearer ", Principal{}, "must be one"},
		"too long":          {"Bearer " + strings.Repeat("x", 9000), Principal{}, "longer than"},
		"JWT":               {"Bearer " + good, Principal{Subject: "ann", Tenant: "blue"}, ""},
		"JWT operator":      {"Bearer " + known.sign(t, claims(map[string]any{"scope": "a agentbus:operate"})), Principal{Subject: "ann", Tenant: "blue", Operator: true}, ""},
		"operator in array": {"Bearer " + known.sign(t, claims(map[string]any{"scp": []string{"agentbus:operate"}})), Principal{Subject: "ann", Tenant: "blue", Operator: true}, ""},
		"other scope":       {"Bearer " + known.sign(t, claims(map[string]any{"scope": "agentbus:operated"})), Principal{Subject: "ann", Tenant: "blue"}, ""},
		"expired":           {"Bearer " + known.sign(t, claims(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})), Principal{}, "has expired"},
		"never expires":     {"Bearer " + known.sign(t, claims(map[string]any{"exp": nil})), Principal{}, "lacks a claim"},
		"not yet valid":     {"Bearer " + known.sign(t, claims(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()})), Principal{}, "not valid yet"},
		"from the future":   {"Bearer " + known.sign(t, claims(map[string]any{"iat": time.Now().Add(time.Hour).Unix()})), Principal{}, "issued in the future"},
		"other audience":    {"Bearer " + known.sign(t, claims(map[string]any{"aud": "payroll"})), Principal{}, "another audience"},
		"no audience":       {"Bearer " + known.sign(t, claims(map[string]any{"aud": nil})), Principal{}, "lacks a claim"},
		"other issuer":      {"Bearer " + known.sign(t, claims(map[string]any{"iss": "https://evil.example"})), Principal{}, "another issuer"},
		"no tenant":         {"Bearer " + known.sign(t, claims(map[string]any{"tenant": nil})), Principal{}, "tenant"},
		"bad tenant":        {"Bearer " + known.sign(t, claims(map[string]any{"tenant": "a/b"})), Principal{}, "tenant"},
		"tenant as list":    {"Bearer " + known.sign(t, claims(map[string]any{"tenant": []string{"blue"}})), Principal{}, "tenant"},
		"no subject":        {"Bearer " + known.sign(t, claims(map[string]any{"sub": nil})), Principal{}, "subject"},
		"wrong key":         {"Bearer " + stranger.sign(t, claims(nil)), Principal{}, "signature does not hold"},
		"unknown key":       {"Bearer " + newKey(t, "k9").sign(t, claims(nil)), Principal{}, "key is not known"},
		"alg none":          {"Bearer " + unsigned, Principal{}, "signature does not hold"},
		"alg none, no sig":  {"Bearer " + none + "." + body + ".", Principal{}, "signature does not hold"},
		"alg confusion":     {"Bearer " + confused, Principal{}, "signature does not hold"},
		"other head":        {"Bearer " + head + "x." + rest, Principal{}, "no JWT"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
			all = append(all, strings.Fields(c.header + " -")[1])
		}
		w := httptest.NewRecorder()
		var got Principal
		g.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = From(r.Context()) })).ServeHTTP(w, r)
		if token := strings.Count(c.header, "."); (token == 2 && c.says == "") != !got.Expires.IsZero() {
			t.Errorf("%s: expires %v", name, got.Expires)
		}
		got.Expires = time.Time{}
		wantCode := http.StatusOK
		if c.says != "" {
			wantCode = http.StatusUnauthorized
		}
		if got != c.want || w.Code != wantCode || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s: %+v, %d %s; want %+v, %d and %q", name, got, w.Code, w.Body, c.want, wantCode, c.says)
		}
		if challenge := w.Header().Get("WWW-Authenticate"); (w.Code == 401) != strings.HasPrefix(challenge, "Bearer ") {
			t.Errorf("%s: challenge %q with %d", name, challenge, w.Code)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header["Authorization"] = []string{"Bearer s3cret-of-bob", "Bearer s3cret-of-root"}
	if p, err := g.Authenticate(r); err == nil {
		t.Errorf("two Authorization headers made %+v", p)
	}
	for _, token := range all {
		if len(token) > 1 && strings.Contains(log.String(), token) {
			t.Errorf("the log holds the token %.20s", token)
		}
	}
}

func TestMaySee(t *testing.T) {
	t.Parallel()
	blue, operator := Principal{Subject: "ann", Tenant: "blue"}, Principal{Subject: "root", Tenant: "ops", Operator: true}
	for tenant, want := range map[string][2]bool{"blue": {true, true}, "red": {false, true}, "": {false, true}, "Blue": {false, true}} {
		if got := [2]bool{blue.MaySee(tenant), operator.MaySee(tenant)}; got != want {
			t.Errorf("tenant %q: %v, want %v", tenant, got, want)
		}
	}
	if (Principal{}).MaySee("") {
		t.Error("nobody sees what belongs to nobody")
	}
}

func TestOpenOnlyOnLoopback(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{"127.0.0.1:8081": true, "[::1]:0": true, "localhost:80": true, "127.0.0.2:1": true,
		"0.0.0.0:8081": false, ":8081": false, "[::]:8081": false, "10.0.0.1:80": false, "example.com:80": false, "": false} {
		var log bytes.Buffer
		g, err := New(t.Context(), Settings{}, addr, zerolog.New(&log))
		if (err == nil) != want {
			t.Errorf("%q: %v", addr, err)
		}
		if err == nil && (!g.Open() || !strings.Contains(log.String(), "AUTHENTICATION IS OFF")) {
			t.Errorf("%q: open %v, log %s", addr, g.Open(), &log)
		}
	}
}

func TestConfigErrorsNameTheSetting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(content string) string {
		path := filepath.Join(dir, fmt.Sprint(len(content)))
		write(t, path, []byte(content))
		return path
	}
	for says, cfg := range map[string]Settings{
		"ALLOWED_HOSTS":                       {AllowedHosts: []string{"*"}},
		"AUTH_JWT_ISSUER is not set":          {JWKS: dir + "/x"},
		"AUTH_JWKS=http://keys.example: must": {JWKS: "http://keys.example", Issuer: issuer, Audience: "a", TenantClaim: "t"},
		"AUTH_TOKENS_FILE: open":              {TokensFile: dir + "/missing"},
		"there is no token in it":             {TokensFile: file("# nothing\n")},
		"line 2: must read: sha256":           {TokensFile: file("\ns3cret-in-clear\n")},
		"line 1: the first field must be":     {TokensFile: file("s3cret-in-clear bob red\n")},
		"line 1: tenant":                      {TokensFile: file(digest("x") + " bob red/blue\n")},
		"line 2: this token stands":           {TokensFile: file(digest("x") + " bob red\n" + digest("x") + " eve blue\n")},
		"AUTH_JWKS=" + dir:                    {JWKS: file("{}}"), Issuer: issuer, Audience: "a", TenantClaim: "t"},
	} {
		_, err := New(t.Context(), cfg, "127.0.0.1:0", zerolog.Nop())
		if err == nil || (!strings.Contains(err.Error(), says) && !strings.Contains(err.Error(), strings.Replace(says, "open", "stat", 1))) {
			t.Errorf("%v; want %q", err, says)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error quotes a secret: %v", err)
		}
	}
}

// TestFileIsReadAgain: a token that is taken out stops working, one that is added works; a file that is
// broken changes nothing.
func TestFileIsReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens")
	write(t, path, []byte(digest("old")+" bob red\n"))
	var log bytes.Buffer
	f, err := reload("AUTH_TOKENS_FILE", path, parseTokens, zerolog.New(&log))
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Now()
	f.now = func() time.Time { return clock }
	has := func(token string) bool {
		clock = clock.Add(lookEvery)
		_, ok := f.get()[sha256.Sum256([]byte(token))]
		return ok
	}
	write(t, path, []byte("nonsense, for a moment"))
	before, after := has("old"), has("old") // a later look says nothing new
	if !before || !after || strings.Count(log.String(), "cannot be read again") != 1 {
		t.Errorf("a broken file: old token %v, then %v, log %s", before, after, &log)
	}
	write(t, path, []byte(digest("new")+" bob red\n# and a comment\n"))
	if has("old") || !has("new") {
		t.Errorf("after the change: old %v, new %v", has("old"), has("new"))
	}
}

// TestRemoteKeys fetches the JWKS, and fetches it again for a key that was added later.
func TestRemoteKeys(t *testing.T) {
	t.Parallel()
	first, second := newKey(t, "k1"), newKey(t, "k2")
	var mu sync.Mutex
	set, fetched := jwks(first), 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		fetched++
		_, _ = w.Write(set)
	}))
	t.Cleanup(server.Close)
	g, err := New(t.Context(), Settings{JWKS: server.URL, Issuer: issuer, Audience: "agentbus", TenantClaim: "tenant"}, "0.0.0.0:80", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(k key) error {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+k.sign(t, claims(nil)))
		_, err := g.Authenticate(r)
		return err
	}
	if err := ask(first); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	set = jwks(first, second)
	mu.Unlock()
	if err := ask(second); err != nil {
		t.Error("a key that was added:", err)
	}
	begun := time.Now()
	for range 20 {
		if err := ask(newKey(t, "k3")); err == nil {
			t.Error("a stranger's key was accepted")
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if took := time.Since(begun); fetched > 3 || took > 5*time.Second {
		t.Errorf("strangers made us fetch %d times and wait %s", fetched, took)
	}
}
