package redact

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

// thorough is Text without hints: every pattern's turn.
func thorough(s string) string {
	for _, p := range patterns {
		s = p.find.ReplaceAllString(s, p.put)
	}
	return s
}

// oneByOne is tells without an automaton.
func oneByOne(name string, words []string) telling {
	name, t := normalise(name), no
	for _, w := range words {
		if strings.HasSuffix(name, normalise(w)) {
			return ends
		}
		if strings.Contains(name, normalise(w)) {
			t = contains
		}
	}
	return t
}

// FuzzText: the hints spare expressions, never a secret.
func FuzzText(f *testing.F) {
	for _, s := range []string{
		"Authorization: Bearer abc.def-123456", "-H 'authorization: basic YW5uOnB3'", "key AKIAIOSFODNN7EXAMPLE found",
		"-----BEGIN RSA PRIVATE KEY-----\nMIIE", "postgres://app:s3cr3t@db:5432/x", "://:p@", "GET /x?token=abcdef&page=2",
		`body was {"api_key": "abcdef"}`, "password: hunter2", "ghp_0123456789abcdefghijABCDEFGHIJ012345", "sk-proj-01234567890123456789",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-DEF_123456", "github_pat_0123456789012345678901", "glpat-01234567890123456789",
		"xoxb-0123456789", "AIza0123456789012345678901234567890123é", "é to\u212Aen=hunter2", "pa\u017F\u017Fword: hunter2",
		"pass\xff passphrase=\u0130", "bear bearer bearer\t01234567",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := Text(s), thorough(s); got != want {
			t.Errorf("%q\n got %q\nwant %q", s, got, want)
		}
	})
}

// FuzzClean: JSON that is not taken apart holds nothing that would be redacted.
func FuzzClean(f *testing.F) {
	for _, s := range []string{
		`{"a":"b","n":[1,null,{"percent":60}]}`, `{"x-api-key":1}`, `{"P A S S W O R D" : "x"}`, `{"a":{"note":"Bearer 0123456789"}}`,
		`{"to\u006ben":"x"}`, `["\"","token=abc"]`, `{"to` + "\u212A" + `en":"to` + "\u212A" + `en=abc"}`, `{"AKIAIOSFODNN7EXAMPLE":{}}`, `"://:p@"`,
	} {
		f.Add(s)
	}
	names := []string{"password", "secret", "token", "authorization", "api_key"}
	var held func(v any) bool
	held = func(v any) bool {
		switch v := v.(type) {
		case string:
			return thorough(v) != v
		case []any:
			for _, element := range v {
				if held(element) {
					return true
				}
			}
		case map[string]any:
			for name, member := range v {
				if oneByOne(name, names) != no || thorough(name) != name || held(member) {
					return true
				}
			}
		}
		return false
	}
	f.Fuzz(func(t *testing.T, text string) {
		var v any
		if json.Unmarshal([]byte(text), &v) != nil {
			t.Skip("not JSON")
		}
		if byName.clean([]byte(text)) && held(v) {
			t.Errorf("%s passes for clean", text)
		}
	})
}

// FuzzTells: the automaton finds what a search for one word after the other does.
func FuzzTells(f *testing.F) {
	words := []string{"abab", "bab", "aba-c", "Ac", "c", "xyz", "y", "éa", "a\u212A", "\xff"}
	r := New(words)
	for _, name := range append(words, "", "-", "xy", "xy-w", "X-Aba_B", "abac.", "acb", "É-a", "e\u0301a", "A\u212A1", "ab\xfe", "\xc3-\xa9a") {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if got, want := r.tells(name), oneByOne(name, words); got != want {
			t.Errorf("%q: %d, want %d", name, got, want)
		}
	})
}

// TestFoldCase: what an expression with (?i), or lower case, takes for a letter of ASCII is one in a text to look for hints.
func TestFoldCase(t *testing.T) {
	t.Parallel()
	for letter := 'a'; letter <= 'z'; letter++ {
		for r := unicode.SimpleFold(letter); ; r = unicode.SimpleFold(r) {
			if got := foldCase(string(r)); got != string(letter) {
				t.Errorf("%U becomes %q, want %q", r, got, letter)
			}
			if r == letter {
				break
			}
		}
	}
	for r := range rune(unicode.MaxRune) {
		if lower := unicode.ToLower(r); lower <= unicode.MaxASCII && foldCase(string(r)) != string(lower) {
			t.Errorf("%U becomes %q, want %q", r, foldCase(string(r)), lower)
		}
	}
}
