// Package agenttest is for the tests of agents; it reaches no shipped binary.
package agenttest

import (
	"errors"
	"strings"
	"testing"

	"agentbus/pkg/agent"
)

// WantFailure ends the test unless err is an [agent.Failure] of this code, and fails it when the reason
// lacks one of the parts.
func WantFailure(tb testing.TB, err error, code agent.Code, parts ...string) {
	tb.Helper()
	var f *agent.Failure
	if !errors.As(err, &f) || f.Code != code {
		tb.Fatalf("error is %v, want a failure with code %s", err, code)
	}
	for _, part := range parts {
		if !strings.Contains(f.Reason, part) {
			tb.Errorf("the reason does not say %q: %s", part, f.Reason)
		}
	}
}
