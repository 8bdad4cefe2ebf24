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
	"path"
	"path/filepath"
	"slices"
	"strings"

	"agentbus/pkg/agent"
)

const (
	defaultTemplate = "go-http-service"
	maxExtraFiles   = 200
	maxExtraBytes   = 1 << 20
)

// generator is the built-in tool: it renders a project from an embedded template.
//
// Parameters: template (default go-http-service), files (path -> content, further
// files of the project), and those that the template's template.json describes.
// It hands on the artifact source, a directory.
type generator struct {
	templates map[string]*projectTemplate
}

// summary is what the stage reports.
type summary struct {
	Template string `json:"template"`
	Files    int    `json:"files"`
	Bytes    int    `json:"bytes"`
}

func newGenerator() (*generator, error) {
	root, err := fs.Sub(embedded, "templates")
	if err != nil {
		return nil, err
	}
	templates, err := loadTemplates(root)
	return &generator{templates: templates}, err
}

// Run implements agent.Tool.
func (g *generator) Run(ctx context.Context, t agent.Task) (agent.Result, error) {
	o, err := g.order(t.Parameters)
	if err != nil {
		return agent.Result{}, err
	}
	t.Report(10, "rendering "+o.template)
	dir := filepath.Join(t.Workspace, "source")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return agent.Result{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return agent.Result{}, err
	}
	defer root.Close()

	s := summary{Template: o.template}
	write := func(name string, content []byte) error {
		s.Files++
		s.Bytes += len(content)
		return errors.Join(root.MkdirAll(path.Dir(name), 0o755), root.WriteFile(name, content, 0o644), ctx.Err())
	}
	if err := g.templates[o.template].render(o.values, write); err != nil {
		return agent.Result{}, err
	}
	for _, name := range slices.Sorted(maps.Keys(o.files)) {
		if _, err := root.Lstat(name); err == nil {
			s.Files-- // it replaces one of the template's
		}
		if err := write(name, []byte(o.files[name])); err != nil {
			return agent.Result{}, bad("files: %q cannot be written: %v", name, err)
		}
	}
	t.Report(90, fmt.Sprintf("%d files", s.Files))
	return agent.Result{Summary: s, Artifacts: []agent.File{{Name: "source", Path: "source"}}}, nil
}

// order is what the parameters ask for.
type order struct {
	template string
	values   map[string]any
	files    map[string]string
}

func (g *generator) order(parameters json.RawMessage) (order, error) {
	o := order{template: defaultTemplate}
	given := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(parameters))
	d.UseNumber()
	if err := d.Decode(&given); err != nil || given == nil {
		return o, bad("the parameters must be a JSON object")
	}
	if v, ok := given["template"]; ok {
		if o.template, ok = v.(string); !ok {
			return o, bad("template must be a string, is %s", show(v))
		}
		delete(given, "template")
	}
	chosen, ok := g.templates[o.template]
	if !ok {
		return o, &agent.Failure{Code: agent.CodeUnknownTemplate, Reason: fmt.Sprintf("there is no template %s; choose one of %s",
			show(o.template), strings.Join(slices.Sorted(maps.Keys(g.templates)), ", "))}
	}
	var err error
	if v, ok := given["files"]; ok {
		if o.files, err = extraFiles(v); err != nil {
			return o, err
		}
		delete(given, "files")
	}
	o.values, err = chosen.values(given)
	return o, err
}

// extraFiles checks the parameter files.
func extraFiles(v any) (map[string]string, error) {
	given, ok := v.(map[string]any)
	if !ok || len(given) > maxExtraFiles {
		return nil, bad("files must be an object of at most %d paths with their content", maxExtraFiles)
	}
	files, size := map[string]string{}, 0
	for name, v := range given {
		content, ok := v.(string)
		if !ok {
			return nil, bad("files: the content of %q must be a string, is %s", name, show(v))
		}
		if !filepath.IsLocal(name) || path.Clean(name) != name || name == "." || strings.ContainsAny(name, "\\\x00") {
			return nil, bad("files: %q must be a path inside the project, such as config/keys.go", name)
		}
		if size += len(content); size > maxExtraBytes {
			return nil, bad("files: together they have more than %d bytes", maxExtraBytes)
		}
		files[name] = content
	}
	return files, nil
}

func bad(format string, args ...any) error {
	return &agent.Failure{Code: agent.CodeBadParameters, Reason: fmt.Sprintf(format, args...)}
}
