package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"agentbus/pkg/agent"
)

// vetter runs go vet in every Go module of a project.
type vetter struct {
	runner *agent.Runner
}

// modules lists the directories with a go.mod, as ./... of the go tool would see
// them: without vendor, testdata and what begins with a dot or underscore.
func modules(root fs.FS) ([]string, error) {
	var dirs []string
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() && name != "." && (base == "vendor" || base == "testdata" || base[0] == '.' || base[0] == '_') {
			return fs.SkipDir
		}
		if base == "go.mod" && d.Type().IsRegular() {
			dirs = append(dirs, filepath.Dir(name))
		}
		return nil
	})
	return dirs, err
}

func (v *vetter) vet(ctx context.Context, t agent.Task, source, module string) ([]finding, error) {
	var stdout bytes.Buffer
	exit, err := v.runner.Run(ctx, t, agent.Process{
		Args: []string{"go", "vet", "-json", "./..."}, Dir: filepath.Join(source, module),
		Env: agent.GoEnvironment(), Stdout: &stdout,
	})
	if err != nil {
		return nil, err
	}
	if exit.Code != 0 {
		return nil, &agent.Failure{Code: agent.CodeVetFailed, Reason: fmt.Sprintf(
			"go vet could not analyse the module in %s (%s): %s; make it compile", place(module), exit.State, orNothing(exit.Stderr))}
	}
	base, err := filepath.EvalSymlinks(source) // vet prints real paths
	if err != nil {
		return nil, err
	}
	return parseVet(stdout.Bytes(), base)
}

// parseVet reads what go vet -json prints: one object per package, each of
// package -> analyzer -> diagnostics, or of an analyzer that failed -> its error.
func parseVet(output []byte, base string) ([]finding, error) {
	var list []finding
	d := json.NewDecoder(bytes.NewReader(output))
	seen := map[string]bool{} // a file is vetted again with the package's tests
	for d.More() {
		var packages map[string]map[string]json.RawMessage
		if err := d.Decode(&packages); err != nil {
			return nil, fmt.Errorf("go vet -json: %w", err)
		}
		for _, name := range slices.Sorted(maps.Keys(packages)) {
			for _, analyzer := range slices.Sorted(maps.Keys(packages[name])) {
				found, err := diagnostics(analyzer, packages[name][analyzer], base)
				if err != nil {
					return nil, fmt.Errorf("go vet -json: %s of %s: %w", analyzer, name, err)
				}
				for _, f := range found {
					key := fmt.Sprint(f)
					if !seen[key+f.message] {
						seen[key+f.message] = true
						list = append(list, f)
					}
				}
			}
		}
	}
	return list, nil
}

func diagnostics(analyzer string, raw json.RawMessage, base string) ([]finding, error) {
	var list []struct {
		Posn    string `json:"posn"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		var failed struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(raw, &failed) == nil && failed.Error != "" {
			return nil, errors.New(failed.Error)
		}
		return nil, err
	}
	var found []finding
	for _, d := range list {
		path, line, column := position(d.Posn)
		if rel, err := filepath.Rel(base, path); err == nil {
			path = filepath.ToSlash(rel)
		}
		found = append(found, finding{
			tool: "vet", rule: analyzer, about: "go vet's analyzer " + analyzer, message: d.Message,
			path: path, line: line, column: column, severity: medium,
		})
	}
	return found, nil
}

// position splits file:line:column; the file's name may hold colons.
func position(posn string) (path string, line, column int) {
	parts := strings.Split(posn, ":")
	if len(parts) < 3 {
		return posn, 1, 0
	}
	n := len(parts)
	line, _ = strconv.Atoi(parts[n-2])
	column, _ = strconv.Atoi(parts[n-1])
	return strings.Join(parts[:n-2], ":"), max(line, 1), max(column, 0)
}

func place(module string) string {
	if module == "." {
		return "the project"
	}
	return module + string(os.PathSeparator)
}

func orNothing(s string) string {
	if s == "" {
		return "it printed nothing"
	}
	return s
}
