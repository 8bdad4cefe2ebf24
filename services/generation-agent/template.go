package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"go/format"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"text/template"
)

// Templates are directories: template.json and files/, whose names end in .tmpl
// (the go tool would otherwise take them for packages and modules of its own).
//
//go:embed all:templates
var embedded embed.FS

const suffix = ".tmpl"

// projectTemplate is one kind of project that can be generated.
type projectTemplate struct {
	Description string               `json:"description"`
	Parameters  map[string]parameter `json:"parameters"`

	files fs.FS
}

// loadTemplates reads what the directory root holds, by name.
func loadTemplates(root fs.FS) (map[string]*projectTemplate, error) {
	entries, err := fs.ReadDir(root, ".")
	if err != nil {
		return nil, err
	}
	all := map[string]*projectTemplate{}
	for _, e := range entries {
		data, err := fs.ReadFile(root, path.Join(e.Name(), "template.json"))
		if err != nil {
			return nil, err
		}
		t := &projectTemplate{}
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		d.DisallowUnknownFields()
		if err := d.Decode(t); err != nil {
			return nil, fmt.Errorf("template %s: %w", e.Name(), err)
		}
		for name, p := range t.Parameters {
			if err := p.compile(); err != nil {
				return nil, fmt.Errorf("template %s: parameter %s: %w", e.Name(), name, err)
			}
			t.Parameters[name] = p
		}
		if t.files, err = fs.Sub(root, path.Join(e.Name(), "files")); err != nil {
			return nil, err
		}
		all[e.Name()] = t
	}
	return all, nil
}

// render calls write with every file of the project, in order of their names.
func (t *projectTemplate) render(values map[string]any, write func(name string, content []byte) error) error {
	return fs.WalkDir(t.files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(t.files, name)
		if err != nil {
			return err
		}
		name = strings.TrimSuffix(name, suffix)
		content, err := renderFile(name, string(text), values)
		if err != nil {
			return err
		}
		return write(name, content)
	})
}

// renderFile has [[ ]] around what is filled in, since Go has {{ }} of its own. A
// value that goes into Go source goes through the function go, which quotes it: a
// value never becomes code.
func renderFile(name, text string, values map[string]any) ([]byte, error) {
	parsed, err := template.New(name).Delims("[[", "]]").Option("missingkey=error").
		Funcs(template.FuncMap{"go": strconv.Quote}).Parse(text)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, values); err != nil {
		return nil, err
	}
	if !strings.HasSuffix(name, ".go") {
		return out.Bytes(), nil
	}
	formatted, err := format.Source(out.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%s is not Go: %w", name, err)
	}
	return formatted, nil
}
