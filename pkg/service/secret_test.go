package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecretFromAFile(t *testing.T) {
	type config struct {
		URL   string `envconfig:"STORE_URL" default:"redis://127.0.0.1" secret:"true"`
		Plain string `envconfig:"PLAIN"`
	}
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte("redis://:hidden@host\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		env     map[string]string
		want    config
		wantErr string
	}{
		{name: "read and trimmed", env: map[string]string{"STORE_URL_FILE": file}, want: config{URL: "redis://:hidden@host"}},
		{name: "what is no secret is not read", env: map[string]string{"PLAIN_FILE": file}, want: config{URL: "redis://127.0.0.1"}},
		{name: "both", env: map[string]string{"STORE_URL": "redis://a", "STORE_URL_FILE": file}, wantErr: "STORE_URL and STORE_URL_FILE are both set"},
		{name: "missing file", env: map[string]string{"STORE_URL_FILE": file + "x"}, wantErr: "STORE_URL_FILE: open "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("STORE_URL", "") // put back at the end, whatever load sets
			if err := os.Unsetenv("STORE_URL"); err != nil {
				t.Fatal(err)
			}
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			var got config
			err := load(&got)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("error %v, want %q in it", err, test.wantErr)
				}
				return
			}
			if err != nil || got != test.want {
				t.Fatalf("got %+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}
