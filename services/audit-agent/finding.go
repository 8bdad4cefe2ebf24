package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// severity orders findings; the zero value is the lowest.
type severity int

const (
	low severity = iota
	medium
	high
	critical
	never // above every finding: nothing fails the stage
)

var severityNames = []string{"low", "medium", "high", "critical", "never"}

func (s severity) String() string { return severityNames[s] }

// MarshalText and UnmarshalText give parameters and reports the names.
func (s severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s *severity) UnmarshalText(text []byte) error {
	i := slices.Index(severityNames, string(text))
	if i < 0 {
		return fmt.Errorf("fail_on must be one of %s, is %q", strings.Join(severityNames, ", "), text)
	}
	*s = severity(i)
	return nil
}

// finding is one thing that the audit found.
type finding struct {
	tool     string // gitleaks or vet
	rule     string
	about    string // what the rule is for
	message  string // what is wrong here; never the secret itself
	path     string // relative to the project, with slashes
	line     int    // from 1
	column   int    // from 1, 0 where unknown
	severity severity
}

func (f finding) String() string {
	return fmt.Sprintf("%s in %s:%d", f.rule, f.path, f.line)
}

// sortFindings puts the worst first, then by place.
func sortFindings(list []finding) {
	slices.SortFunc(list, func(a, b finding) int {
		return cmp.Or(cmp.Compare(b.severity, a.severity), cmp.Compare(a.path, b.path), cmp.Compare(a.line, b.line), cmp.Compare(a.rule, b.rule))
	})
}
