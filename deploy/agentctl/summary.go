package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"agentbus/deploy/agentctl/coordinator"
)

// summarize prints a workflow: its stages, what each found, and why it ended as it did.
func summarize(out io.Writer, w coordinator.Workflow, now time.Time) error {
	until, state := now, w.State
	if w.FinishedAt != nil {
		until = *w.FinishedAt
	}
	verb := "for"
	if w.Final() {
		verb, state = "after", pastOf(w.State)
	}
	fmt.Fprintf(out, "%s (%s) %s %s %s\n\n", w.Name, w.ID, state, verb, took(until.Sub(w.CreatedAt)))
	rows := [][]string{{"STAGE", "STATE", "TIME", "RESULT"}}
	for _, s := range w.Stages {
		result := resultOf(s)
		if s.Attempt > 1 {
			result = strings.TrimSpace(fmt.Sprintf("%s (try %d)", result, s.Attempt))
		}
		rows = append(rows, []string{s.Name, s.State, between(s.StartedAt, s.FinishedAt), result})
	}
	if err := table(out, rows...); err != nil {
		return err
	}
	if w.Reason != "" {
		fmt.Fprintf(out, "\n%s at %s (%s):\n%s\n", pastOf(w.State), w.Stage, w.Code, strings.Map(keepLines, w.Reason))
	}
	return nil
}

func keepLines(r rune) rune {
	if r == '\n' {
		return r
	}
	return printable(r)
}

// resultOf words what a stage found. Summaries of built-in tools are known; of a user's own tool, the
// figures are shown as they are.
func resultOf(s coordinator.Stage) string {
	if len(s.Summary) == 0 {
		if s.State == "running" {
			return s.Message
		}
		return ""
	}
	var known struct {
		Template *string `json:"template"`
		Files    int     `json:"files"`
		Findings *int    `json:"findings"`
		Passed   *int    `json:"passed"`
		Failed   int     `json:"failed"`
		Skipped  int     `json:"skipped"`
		Coverage float64 `json:"coverage_percent"`
		Version  *string `json:"version"`
		URL      string  `json:"url"`
		Health   struct {
			Path   string `json:"path"`
			Status int    `json:"status"`
		} `json:"health"`
	}
	if json.Unmarshal(s.Summary, &known) != nil {
		return figures(s.Summary)
	}
	switch {
	case known.Template != nil:
		return fmt.Sprintf("%s from %s", count(known.Files, "file", "files"), *known.Template)
	case known.Findings != nil:
		return fmt.Sprintf("%s in %s", count(*known.Findings, "finding", "findings"), count(known.Files, "file", "files"))
	case known.Passed != nil:
		return fmt.Sprintf("%d tests passed, %d failed, %d skipped, coverage %.1f%%", *known.Passed, known.Failed, known.Skipped, known.Coverage)
	case known.Version != nil && known.URL != "":
		return fmt.Sprintf("%s is live at %s, GET %s answered %d", *known.Version, known.URL, known.Health.Path, known.Health.Status)
	case known.Version != nil:
		return fmt.Sprintf("%s is not live", *known.Version)
	}
	return figures(s.Summary)
}

// figures are the plain values of an unknown summary.
func figures(summary json.RawMessage) string {
	var values map[string]any
	if json.Unmarshal(summary, &values) != nil {
		return ""
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch v := values[name].(type) {
		case string, float64, bool:
			parts = append(parts, fmt.Sprintf("%s %v", name, v))
		}
	}
	return clip(strings.Join(parts, ", "), 100)
}
