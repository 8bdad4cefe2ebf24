package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// tokensFile writes a file of tokens, each named like its subject.
func tokensFile(t *testing.T, lines ...string) string {
	t.Helper()
	path, text := filepath.Join(t.TempDir(), "tokens"), ""
	for _, line := range lines {
		var subject string
		if _, err := fmt.Sscan(line, &subject); err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("sha256:%x %s\n", sha256.Sum256([]byte(subject)), line)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTenantsDoNotSeeEachOther: what belongs to another tenant is answered like what does not exist.
func TestTenantsDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	tokens := tokensFile(t, "ann blue", "bea blue", "rob red", "root ops operator")
	s := startSystem(t, 1, func(c *Config) { c.TokensFile = tokens })
	as := func(who, method, path string, body string, header ...string) (int, map[string]any) {
		t.Helper()
		if who != "" {
			header = append(header, "Authorization", "Bearer "+who)
		}
		return s.do(0, method, path, body, header...)
	}
	status, made := as("ann", "POST", "/v1/workflows", `{"name":"greeter"}`, "Idempotency-Key", "k")
	if status != http.StatusCreated || made["tenant"] != "blue" || made["created_by"] != "ann" {
		t.Fatalf("created with %d: %v", status, made)
	}
	id := made["id"].(string)
	unknown := map[string]any{}
	for who, want := range map[string]int{"ann": 200, "bea": 200, "root": 200, "rob": 404, "": 401, "eve": 401} {
		if status, got := as(who, "GET", "/v1/workflows/"+id, ""); status != want {
			t.Errorf("%q gets the workflow with %d %v; want %d", who, status, got, want)
		} else if want == 404 {
			unknown = got
		}
		status, list := as(who, "GET", "/v1/workflows", "")
		found, _ := list["workflows"].([]any)
		if seen := want == 200; want != 401 && (status != 200 || (len(found) == 1) != seen) || want == 401 && status != 401 {
			t.Errorf("%q is listed %d workflows with %d", who, len(found), status)
		}
	}
	if _, nothing := as("rob", "GET", "/v1/workflows/wf-0", ""); fmt.Sprint(nothing["title"], nothing["status"]) != fmt.Sprint(unknown["title"], unknown["status"]) {
		t.Errorf("another tenant's workflow is %v, one that does not exist %v", unknown, nothing)
	}
	if status, got := as("rob", "POST", "/v1/workflows/"+id+"/cancel", ""); status != 404 {
		t.Errorf("another tenant cancels it with %d %v", status, got)
	}
	if _, other := as("rob", "POST", "/v1/workflows", `{"name":"greeter"}`, "Idempotency-Key", "k"); other["id"] == id || other["tenant"] != "red" {
		t.Errorf("another tenant's Idempotency-Key led to %v", other)
	}
	if status, got := as("bea", "POST", "/v1/workflows/"+id+"/cancel", ""); status != 200 || got["state"] != "cancelled" {
		t.Errorf("the tenant cancels it with %d %v", status, got)
	}
}
