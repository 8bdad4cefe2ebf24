package redact

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var byName = New([]string{"password", "secret", "token", "authorization", "api_key"})

func TestFieldsByName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"password":"hunter2"}`:                    `{"password":"[REDACTED]"}`,
		`{"dbPassword":"hunter2"}`:                  `{"dbPassword":"[REDACTED]"}`,
		`{"PASSWORD_HASH":"x"}`:                     `{"PASSWORD_HASH":"[REDACTED]"}`,
		`{"X-Api-Key":"k"}`:                         `{"X-Api-Key":"[REDACTED]"}`,
		`{"apiKey":["a","b"]}`:                      `{"apiKey":"[REDACTED]"}`,
		`{"secrets":{"db":"x"}}`:                    `{"secrets":"[REDACTED]"}`,
		`{"a":[{"b":{"client_secret":"x"}}]}`:       `{"a":[{"b":{"client_secret":"[REDACTED]"}}]}`,
		`{"headers":{"Authorization":"Basic abc"}}`: `{"headers":{"Authorization":"[REDACTED]"}}`,
		`{"token":123456}`:                          `{"token":"[REDACTED]"}`,
		`{"secrets_found":3,"token_count":5}`:       `{"secrets_found":3,"token_count":5}`,
		`{"token":null,"has_secret":true}`:          `{"token":null,"has_secret":true}`,
		`{"author":"ann","percent":60}`:             `{"author":"ann","percent":60}`,
		`{"n":12345678901234567890.10}`:             `{"n":12345678901234567890.10}`,
		`{"html":"<b>&</b>"}`:                       `{"html":"<b>&</b>"}`,
		`{"z":"tests \"passed\"","a":1}`:            `{"z":"tests \"passed\"","a":1}`,
		`[]`:                                        `[]`,
	} {
		raw := []byte(in)
		got, err := byName.JSON(raw)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if string(got) != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
		if string(raw) != in {
			t.Errorf("%s: the input was changed to %s", in, raw)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	pem := "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----"
	for in, want := range map[string]string{
		"Authorization: Bearer abc.def-123456":                "Authorization: Bearer [REDACTED]",
		"-H 'Authorization: Basic YW5uOnB3'":                  "-H 'Authorization: Basic [REDACTED]'",
		"key AKIAIOSFODNN7EXAMPLE found":                      "key [REDACTED] found",
		"before\n" + pem + "\nafter":                          "before\n[REDACTED]\nafter",
		"-----BEGIN OPENSSH PRIVATE KEY-----\ncut off":        "[REDACTED]",
		"postgres://app:s3cr3t@db:5432/x?sslmode=disable":     "postgres://app:[REDACTED]@db:5432/x?sslmode=disable",
		"redis://:s3cr3t@db:6379":                             "redis://:[REDACTED]@db:6379",
		"run with DB_PASSWORD=hunter22 now":                   "run with DB_PASSWORD=[REDACTED] now",
		"GET /x?token=abcdef&page=2":                          "GET /x?token=[REDACTED]&page=2",
		`body was {"api_key": "abcdef"}`:                      `body was {"api_key": "[REDACTED]"}`,
		"password: hunter2":                                   "password: [REDACTED]",
		"ghp_0123456789abcdefghijABCDEFGHIJ012345":            Mark,
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-DEF_123456": Mark,
		// What people must still be able to read.
		"1 high finding: aws-access-token in config/keys.go:12": "1 high finding: aws-access-token in config/keys.go:12",
		"aws-access-token: config/keys.go":                      "aws-access-token: config/keys.go",
		"http://127.0.0.1:8080/a@b":                             "http://127.0.0.1:8080/a@b",
		"12 of 30 tests passed":                                 "12 of 30 tests passed",
		"risk-assessment-of-the-whole-system":                   "risk-assessment-of-the-whole-system",
		"a basic introduction":                                  "a basic introduction",
		"7d0f1c9e-2f0b-4c55-9a53-0b7c5a6a1f10":                  "7d0f1c9e-2f0b-4c55-9a53-0b7c5a6a1f10",
		"":                                                      "",
	} {
		if got := Text(in); got != want {
			t.Errorf("%q\n got %q\nwant %q", in, got, want)
		}
	}
}

func TestStrings(t *testing.T) {
	t.Parallel()
	in := map[string]string{"traceparent": "00-4bf92f35-01", "x-token": "short", "note": "Bearer 0123456789"}
	want := map[string]string{"traceparent": "00-4bf92f35-01", "x-token": Mark, "note": "Bearer " + Mark}
	if diff := cmp.Diff(want, byName.Strings(in)); diff != "" {
		t.Error(diff)
	}
	if in["x-token"] != "short" {
		t.Error("the input was changed")
	}
	if byName.Strings(nil) != nil {
		t.Error("nil did not stay nil")
	}
}

// FuzzJSON: whatever comes in, valid JSON comes out and a named secret does not.
func FuzzJSON(f *testing.F) {
	f.Add(`{"a":1}`)
	f.Add(`["x",{"password":"y"}]`)
	f.Add(`{"AKIAIOSFODNN7EXAMPLE":"a","[REDACTED]":"b"}`)
	f.Fuzz(func(t *testing.T, inner string) {
		if !json.Valid([]byte(inner)) {
			t.Skip("not JSON")
		}
		out, err := byName.JSON([]byte(`{"deep":[` + inner + `],"api_key":"zzsecretzz"}`))
		if err != nil {
			return // e.g. numbers of a million digits
		}
		if !json.Valid(out) || strings.Contains(string(out), `"api_key":"zzsecretzz"`) {
			t.Fatalf("came out as %s", out)
		}
	})
}

func BenchmarkJSON(b *testing.B) {
	raw := []byte(`{"correlation_id":"7d0f1c9e-2f0b-4c55-9a53-0b7c5a6a1f10","attempt":1,"duration_ms":1480,"artifacts":[{"name":"source","url":"sha256/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","size":4711,"media_type":"application/gzip"}],"summary":{"findings":{"high":0,"medium":1}}}`)
	for b.Loop() {
		if _, err := byName.JSON(raw); err != nil {
			b.Fatal(err)
		}
	}
}
