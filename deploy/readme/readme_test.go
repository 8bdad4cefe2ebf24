package readme

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// repository reads this repository, with the agentctl of AGENTBUS_BIN or one that it builds.
func repository(t *testing.T) *tree {
	t.Helper()
	program := filepath.Join(os.Getenv("AGENTBUS_BIN"), "agentctl")
	if os.Getenv("AGENTBUS_BIN") == "" {
		program = filepath.Join(t.TempDir(), "agentctl")
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../agentctl").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	known := make(map[string]string)
	r, err := readTree(filepath.Join("..", ".."), func(command ...string) string {
		key := strings.Join(command, " ")
		if text, ok := known[key]; ok {
			return text
		}
		out, err := exec.CommandContext(t.Context(), program, append(command, "--help")...).Output()
		if len(out) == 0 { // where there is help, the status says something else: bench wants its program
			t.Fatalf("agentctl %s --help: %v", key, err)
		}
		known[key] = string(out)
		return known[key]
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestNamesExist: every name in every Markdown file of the repository is that of something there.
func TestNamesExist(t *testing.T) {
	r := repository(t)
	if !slices.Contains(r.documents, "README.md") {
		t.Fatalf("the Markdown files are %v", r.documents)
	}
	for _, path := range r.documents {
		text, err := os.ReadFile(filepath.Join(r.root, path))
		if err != nil {
			t.Fatal(err)
		}
		for _, miss := range r.check(path, string(text)) {
			t.Error(miss)
		}
	}
}

// TestMisspelt: a name that is spelt wrong is told with its file and line, and one that is right is not.
func TestMisspelt(t *testing.T) {
	r := repository(t)
	for _, c := range []struct{ text, want string }{
		{"`TestNamesExist`, and make it so", ""},
		{"`TestNamesExists`", "no test TestNamesExists"},
		{"as TestNamesExists shows", "no test TestNamesExists"},
		{"`REDIS_URL`, `BUS_*`", ""},
		{"`REDIS_" + "URI`", "no variable REDIS_" + "URI"}, // in one piece the name would stand in this file
		{"`make test`", ""},
		{"`make tests`", "no target make tests"},
		{"```sh\nmake tests\n```", "no target make tests"},
		{"`bin/db-writer --help`, `bin/<service>`, `/usr/bin/make`", ""},
		{"`bin/db-writers --help`", "no program bin/db-writers"},
		{"`agentctl dlq list db_writers`, `bin/agentctl groups`, `agentctl run - --watch`", ""},
		{"`agentctl dlq lists db_writers`", "no command agentctl dlq lists"},
		{"`agentctl groop`", "no command agentctl groop"},
		{"`agentctl verify --al`", "no flag --al of agentctl verify"},
		{"`deploy/demo/workflow.json`, `agentctl run deploy/demo/workflow.json`", ""},
		{"`agentctl run deploy/demo/workflows.json`", "no file or folder deploy/demo/workflows.json"},
		{"`deploy/demos`", "no file or folder deploy/demos"},
		{"`install-deps.sh`", ""},
		{"`install-dep.sh`", "no file install-dep.sh"},
		{"`chart/doc.go`", ""},
		{"`charts/doc.go`", "no file or folder charts/doc.go"},
		{"[x](../Makefile), [y](https://example.org/none)", ""},
		{"[x](../Makefiles)", "no file or folder ../Makefiles"},
		{"![x](none.png)", "no file or folder none.png"},
		{"# Some words, here\n[x](#some-words-here)", ""},
		{"# Some words\n[x](#some-word)", "no heading #some-word"},
	} {
		got := r.check("deploy/x.md", "\n"+c.text)
		if c.want == "" && len(got) > 0 {
			t.Errorf("%q: %q", c.text, got)
		}
		line := "2"
		if strings.Contains(c.text, "\n") {
			line = "3"
		}
		if c.want != "" && !slices.Equal(got, []string{"deploy/x.md:" + line + ": " + c.want}) {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}
