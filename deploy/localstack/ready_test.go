package localstack

import (
	"os"
	"path/filepath"
	"testing"
)

// TestStory reads a log while it grows, torn anywhere.
func TestStory(t *testing.T) {
	const text = `{"level":"info","setting":"OPS_ADDR","addr":"127.0.0.1:9082","message":"listening"}
some text
{"level":"info","setting":"HTTP_ADDR","addr":"127.0.0.1:8080","message":"listening"}
{"level":"error","error":"the database is gone","message":"failed"}
db-writer --help lists all settings
`
	file := filepath.Join(t.TempDir(), "log")
	s := &story{path: file}
	s.read() // it is not there yet
	for end := 0; end < len(text); end += 7 {
		if err := os.WriteFile(file, []byte(text[:end]), 0o600); err != nil {
			t.Fatal(err)
		}
		s.read()
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.read()
	if s.listens["OPS_ADDR"] != "127.0.0.1:9082" || s.listens["HTTP_ADDR"] != "127.0.0.1:8080" || s.failure != "the database is gone" {
		t.Errorf("read %+v", s)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("HTTP_ADDR", "127.0.0.1:1")
	t.Setenv("LOG_LEVEL", "error")
	t.Setenv("DB_WRITER_DB_BATCH", "7")
	t.Setenv("DB_WRITER_OPS_ADDR", "127.0.0.1:19082")
	s := &Stack{RedisURL: "redis://r", DatabaseURL: "postgres://p", opts: Options{Dir: "/state", Env: map[string]map[string]string{
		"": {"DB_BATCH": "5", "BOTH": "all"}, "db-writer": {"DB_BATCH": "6", "BOTH": "own"}}}}
	for name, tc := range map[string]struct {
		service string
		n       int
		want    map[string]string // "" must be absent
	}{
		"replica 1": {"db-writer", 1, map[string]string{"HTTP_ADDR": "", "OPS_ADDR": "127.0.0.1:19082", "LOG_LEVEL": "", "DB_BATCH": "7", "BOTH": "own", "BUS_MEMBER": "me", "REDIS_URL": "redis://r"}},
		"replica 2": {"db-writer", 2, map[string]string{"HTTP_ADDR": "127.0.0.1:0", "OPS_ADDR": "127.0.0.1:0", "DB_BATCH": "7"}},
		"another":   {"log-aggregator", 1, map[string]string{"OPS_ADDR": "", "DB_BATCH": "5", "BOTH": "all", "WORKSPACE_DIR": "/state/work/me"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := map[string]string{}
			for _, entry := range s.environment(tc.service, "me", tc.n) {
				for i := range entry {
					if entry[i] == '=' {
						got[entry[:i]] = entry[i+1:]
						break
					}
				}
			}
			for key, want := range tc.want {
				if got[key] != want {
					t.Errorf("%s=%q, want %q", key, got[key], want)
				}
			}
		})
	}
}
