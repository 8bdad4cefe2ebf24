package main

import (
	"bytes"
	"io/fs"
	"path"
	"strings"
)

// module is a Go module of the project.
type module struct {
	dir   string // relative, with slashes
	tests int    // functions that look like tests: what progress is measured against
}

// modules lists the project's, as ./... of the go tool would see them: without
// vendor, testdata and what begins with a dot or underscore.
func modules(root fs.FS) ([]module, error) {
	var list []module
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != "." && (base == "vendor" || base == "testdata" || base[0] == '.' || base[0] == '_') {
				return fs.SkipDir
			}
			if _, err := fs.Stat(root, path.Join(name, "go.mod")); err == nil {
				list = append(list, module{dir: name})
			}
			return nil
		}
		if len(list) > 0 && strings.HasSuffix(base, "_test.go") && d.Type().IsRegular() {
			text, err := fs.ReadFile(root, name)
			if err != nil {
				return err
			}
			list[len(list)-1].tests += bytes.Count(text, []byte("\nfunc Test"))
		}
		return nil
	})
	return list, err
}
