package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/rs/zerolog"
	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/logging"
	"github.com/zricethezav/gitleaks/v8/report"
	"github.com/zricethezav/gitleaks/v8/sources"
)

// secretScanner finds committed secrets with gitleaks' own rules.
type secretScanner struct {
	mu sync.Mutex // gitleaks reads its configuration through a global
}

func newSecretScanner() *secretScanner {
	logging.Logger = zerolog.Nop() // it would write to stderr in a format of its own
	return &secretScanner{}
}

// detector makes one per scan: it collects findings and keeps 25 MiB of compiled
// rules, which an idle agent should not hold.
func (s *secretScanner) detector() (*detect.Detector, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := detect.NewDetectorDefaultConfig()
	if err != nil {
		return nil, fmt.Errorf("gitleaks' rules: %w", err)
	}
	return d, nil
}

// scan looks at every file of the project. visited is called after each.
func (s *secretScanner) scan(ctx context.Context, root *os.Root, visited func()) ([]finding, error) {
	d, err := s.detector()
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		// A relative path: gitleaks decides by it what is not worth a look, and the
		// folder that the workspace lies in must have no say in that.
		_, err = d.DetectSource(ctx, &sources.File{Content: f, Path: name, Config: &d.Config})
		visited()
		return err
	})
	if err != nil {
		return nil, err
	}
	var list []finding
	for _, f := range d.Findings() {
		list = append(list, secretFinding(f))
	}
	return list, ctx.Err()
}

// secretFinding takes over everything but the secret.
func secretFinding(f report.Finding) finding {
	return finding{
		tool: "gitleaks", rule: f.RuleID, about: strings.TrimSuffix(f.Description, "."),
		message:  f.Description,
		path:     f.File,
		line:     f.StartLine,
		column:   f.StartColumn,
		severity: secretSeverity(f.RuleID),
	}
}

// secretSeverity: what opens a machine or an account at once is worst; the rule
// that goes by a variable's name and the entropy of its value errs at times.
func secretSeverity(rule string) severity {
	switch rule {
	case "private-key", "gcp-api-key", "azure-ad-client-secret":
		return critical
	case "generic-api-key":
		return medium
	}
	return high
}
