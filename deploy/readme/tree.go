package readme

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// tree is what a repository offers to be named.
type tree struct {
	root      string
	documents []string // Markdown files, relative to root
	baseNames map[string]bool
	tests     map[string]bool // and benchmarks, fuzz targets and examples
	targets   map[string]bool // of make
	variables map[string]bool // words such as REDIS_URL in any file but Markdown
	programs  map[string]bool // of bin/
	help      func(command ...string) string
}

var (
	testFunc   = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w*)\(`)
	makeTarget = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
	variable   = regexp.MustCompile(`\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b`)
)

// readTree reads the repository at root; help is what an agentctl prints with --help.
func readTree(root string, help func(command ...string) string) (*tree, error) {
	t := &tree{root: root, help: help, baseNames: make(map[string]bool), tests: make(map[string]bool),
		targets: make(map[string]bool), variables: make(map[string]bool), programs: map[string]bool{"agentctl": true}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case rel == ".git" || rel == ".agentbus" || rel == "bin" || d.Name() == "__pycache__":
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir():
			if filepath.Dir(rel) == "services" {
				t.programs[d.Name()] = true
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		t.baseNames[d.Name()] = true
		if strings.HasSuffix(rel, ".md") {
			t.documents = append(t.documents, rel)
			return nil
		}
		return t.readFile(path)
	})
	return t, err
}

func (t *tree) readFile(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if strings.HasSuffix(path, "_test.go") {
		for _, m := range testFunc.FindAllSubmatch(content, -1) {
			t.tests[string(m[1])] = true
		}
	}
	if filepath.Base(path) == "Makefile" {
		for _, m := range makeTarget.FindAllSubmatch(content, -1) {
			t.targets[string(m[1])] = true
		}
	}
	for _, name := range variable.FindAll(content, -1) {
		t.variables[string(name)] = true
	}
	return nil
}

// exists reports whether there is a file or folder, relative to one of the folders, themselves relative to the root.
func (t *tree) exists(path string, folders ...string) bool {
	for _, folder := range folders {
		if _, err := os.Stat(filepath.Join(t.root, folder, path)); err == nil {
			return true
		}
	}
	return false
}
