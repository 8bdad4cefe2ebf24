package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"agentbus/deploy/agentctl/coordinator"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

// TestMalformedRequests are refused with a 4xx that names the field.
func TestMalformedRequests(t *testing.T) {
	s := system{t, shared}
	for name, tc := range map[string]struct {
		body   string
		status int
		names  string // somewhere in the problem
	}{
		"bad JSON":      {`{"name":`, http.StatusBadRequest, "body"},
		"no JSON":       {`hello`, http.StatusBadRequest, "body"},
		"empty":         {``, http.StatusBadRequest, "body"},
		"missing field": {`{}`, http.StatusUnprocessableEntity, "name"},
		"unknown field": {`{"name":"a","colour":"red"}`, http.StatusUnprocessableEntity, "colour"},
		"unknown stage": {`{"name":"a","stages":{"painting":{}}}`, http.StatusUnprocessableEntity, "painting"},
		"wrong type":    {`{"name":7}`, http.StatusUnprocessableEntity, "name"},
		"wrong value":   {`{"name":"Not A Name"}`, http.StatusUnprocessableEntity, "name"},
		"out of range":  {`{"name":"a","stages":{"audit":{"attempts":0}}}`, http.StatusUnprocessableEntity, "attempts"},
		"2 MiB":         {`{"name":"a","stages":{"generation":{"parameters":{"x":"` + strings.Repeat("y", 2<<20) + `"}}}}`, http.StatusRequestEntityTooLarge, "large"},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := http.Post(s.api().Base+"/v1/workflows", "application/json", strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != tc.status {
				t.Errorf("answered %s, want %d", response.Status, tc.status)
			}
			if kind := response.Header.Get("Content-Type"); kind != "application/problem+json" {
				t.Errorf("Content-Type is %s", kind)
			}
			var problem coordinator.Problem
			if err := json.Unmarshal(text, &problem); err != nil {
				t.Fatalf("%v in %s", err, text)
			}
			if !strings.Contains(string(text), tc.names) {
				t.Errorf("%q is not in %s", tc.names, text)
			}
		})
	}
}
