package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const secret = `tok-"5ecret\value`

// refusing is a server that answers so, and repeats the Authorization header in every part of its answer. It
// tells which headers came.
func refusing(t *testing.T, status int, location string) (url string, came func() []string) {
	var mu sync.Mutex
	var headers []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := r.Header.Get("Authorization")
		mu.Lock()
		headers = append(headers, header)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/problem+json")
		if location != "" {
			w.Header().Set("Location", location+r.URL.Path)
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"title": header, "detail": "refused: " + header,
			"errors": []any{map[string]any{"location": header, "message": header, "value": map[string]any{"x": header}}}})
	}))
	t.Cleanup(server.Close)
	return server.URL, func() []string { mu.Lock(); defer mu.Unlock(); return headers }
}

func tokenFile(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTheTokenIsSentAndNeverShown: to the coordinator and at the upgrade, and not even where the server repeats it.
func TestTheTokenIsSentAndNeverShown(t *testing.T) {
	for name, args := range map[string][]string{
		"list": {"workflows", "list"}, "get": {"workflows", "get", "wf-1"}, "run": {"run", "-"}, "run again": {"workflows", "run-again", "wf-1"},
		"cancel": {"workflows", "cancel", "wf-1"}, "as JSON": {"workflows", "get", "wf-1", "-o", "json"},
	} {
		t.Run(name, func(t *testing.T) {
			url, came := refusing(t, 401, "")
			stdout, stderr, code := ctl(t, "{}", append(args, "--coordinator", url, "--token-file", tokenFile(t, secret+"\n"))...)
			if got := came(); len(got) != 1 || got[0] != "Bearer "+secret {
				t.Errorf("%d requests came, with %q; want one with the token", len(got), got)
			}
			if code != exitToken || !strings.Contains(stderr, "401") || !strings.Contains(stderr, tokenVariable) || !strings.Contains(stderr, "--token-file") {
				t.Errorf("exit code %d, want %d: %q", code, exitToken, stderr)
			}
			for _, part := range []string{"5ecret", "tok-"} {
				if strings.Contains(stdout+stderr, part) {
					t.Errorf("the token was shown: %q %q", stdout, stderr)
				}
			}
		})
	}
	t.Run("upgrade", func(t *testing.T) {
		live, came := refusing(t, 401, "")
		url, _ := api(t, 200, "application/json", made)
		_, stderr, code := ctl(t, "", "workflows", "watch", "wf-1", "--coordinator", url, "--websocket", live, "--token-file", tokenFile(t, secret))
		if code != exitWorkflow || strings.Contains(stderr, "5ecret") {
			t.Errorf("exit code %d, want %d, since the API tells instead: %q", code, exitWorkflow, stderr)
		}
		if got := came(); len(got) == 0 || got[0] != "Bearer "+secret {
			t.Errorf("the upgrade came with %q; want the token", got)
		}
	})
}

// TestTheTokenGoesNowhereElse: a redirect is not followed, neither by requests nor by the upgrade.
func TestTheTokenGoesNowhereElse(t *testing.T) {
	other, came := refusing(t, 200, "")
	away, _ := refusing(t, 307, other)
	if _, _, code := ctl(t, "", "workflows", "list", "--coordinator", away, "--token-file", tokenFile(t, secret)); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	url, _ := api(t, 200, "application/json", made)
	ctl(t, "", "workflows", "watch", "wf-1", "--coordinator", url, "--websocket", away, "--token-file", tokenFile(t, secret))
	if got := came(); len(got) != 0 {
		t.Errorf("the redirect led to %d requests; want none", len(got))
	}
}

func TestTheTokenOfTheEnvironment(t *testing.T) {
	t.Setenv(tokenVariable, "from-env\n")
	if got, err := readToken(""); got != "from-env" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := readToken(tokenFile(t, " from-file\n")); got != "from-file" || err != nil {
		t.Errorf("the file must win: %q, %v", got, err)
	}
}

func TestWhatIsNoToken(t *testing.T) {
	for name, tc := range map[string]struct{ text, says string }{
		"empty": {" \n", "is empty"}, "two words": {"5ecret 5ecret", "one word"}, "header": {"5ecret\r\nX: y", "one word"},
		"no ASCII": {"5ecrét", "one word"}, "too long": {strings.Repeat("5ecret", 10_000), "8192 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, stderr, code := ctl(t, "", "workflows", "list", "--coordinator", "http://127.0.0.1:1", "--token-file", tokenFile(t, tc.text))
			if code != exitUsage || !strings.Contains(stderr, tc.says) || strings.Contains(stderr, "5ecr") {
				t.Errorf("exit code %d, want %d with %q and nothing of the token: %q", code, exitUsage, tc.says, stderr)
			}
		})
	}
	if _, stderr, code := ctl(t, "", "workflows", "list", "--token-file", "/nowhere/token"); code != exitFailed || !strings.Contains(stderr, "/nowhere/token") {
		t.Errorf("exit code %d: %q", code, stderr)
	}
}

func TestRunAgain(t *testing.T) {
	url, requests := api(t, 201, "application/json", made)
	stdout, stderr, code := ctl(t, "", "workflows", "run-again", "wf-0", "--coordinator", url)
	if code != exitOK || stderr != "" || !strings.Contains(stdout, "workflows watch wf-1") || requests.Load() != 1 {
		t.Errorf("%d, %q, %q, %d requests", code, stdout, stderr, requests.Load())
	}
}
