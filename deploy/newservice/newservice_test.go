package newservice

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"agentbus/deploy/localstack"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

const checkout = "../.."

func TestMain(m *testing.M) { servertest.Main(m) }

// clone is a copy of the checkout in which services are added.
type clone struct {
	*testing.T
	dir string
}

func newClone(t *testing.T) clone {
	t.Helper()
	c := clone{t, t.TempDir()}
	if out, err := exec.CommandContext(t.Context(), "make", "-s", "-C", checkout, "copy", "TO="+c.dir).CombinedOutput(); err != nil {
		t.Fatalf("make copy: %v\n%s", err, out)
	}
	return c
}

// run runs a command in the clone. Go builds what it runs as it built this test, with the race detector or without,
// so that both have one cache.
func (c clone) run(command ...string) (output string, err error) {
	cmd := exec.CommandContext(c.Context(), command[0], command[1:]...)
	cmd.Dir = c.dir
	tools, err := filepath.Abs(checkout + "/bin/tools")
	if err != nil {
		return "", err
	}
	cmd.Env = append(os.Environ(), "MAKEFLAGS=", "PATH="+os.Getenv("PATH")+string(os.PathListSeparator)+tools)
	if built, ok := debug.ReadBuildInfo(); ok && slices.Contains(built.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		cmd.Env = append(cmd.Env, "GOFLAGS="+os.Getenv("GOFLAGS")+" -race")
	}
	began := time.Now()
	out, err := cmd.CombinedOutput()
	c.Logf("%s: %s", strings.Join(command, " "), time.Since(began).Round(100*time.Millisecond))
	return string(out), err
}

func (c clone) mustRun(command ...string) string {
	c.Helper()
	out, err := c.run(command...)
	if err != nil {
		c.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return out
}

// files are the contents by path, with what is left over in the folder that the copy is made in.
func (c clone) files() map[string]string {
	c.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS(c.dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(c.dir, path))
		all[path] = string(data)
		return err
	})
	if err != nil {
		c.Fatal(err)
	}
	return all
}

// TestRefusal: what is refused or fails says why, and changes nothing.
func TestRefusal(t *testing.T) {
	t.Parallel()
	c := newClone(t)
	for _, tc := range []struct {
		name, want     string
		file, contents string // written first
	}{
		{name: "", want: "NAME is not set, such as: make new-service NAME=notifier"},
		{name: "Notifier", want: "must be lower-case letters, digits and single dashes"},
		{name: "mail_notifier", want: "must be lower-case letters, digits and single dashes"},
		{name: "notifier/../x", want: "must be lower-case letters, digits and single dashes"},
		{name: "9lives", want: "with a letter first"},
		{name: "notifier-", want: "no dash last"},
		{name: "mail--notifier", want: "single dashes"},
		{name: "notifier-of-everything1", want: "has 23 characters, must have 22 at most"},
		{name: "db-writer", want: "there is a services/db-writer already"},
		{name: "agentctl", want: "something else of agentbus has that name"},
		{name: "redis", want: "something else of agentbus has that name"},
		{name: "migrations", want: "something else of agentbus has that name"},
		{name: "notifier", want: "--- FAIL: TestCompose", file: "deploy/compose.yaml", contents: "services:\n  # make new-service puts the next one here\n"},
		{name: "notifier", want: `deploy/compose.yaml has no line "# make new-service puts the next one here"`, file: "deploy/compose.yaml", contents: "services: {}\n"},
	} {
		if tc.file != "" {
			if err := os.WriteFile(filepath.Join(c.dir, tc.file), []byte(tc.contents), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		had := c.files()
		if out, err := c.run("make", "new-service", "NAME="+tc.name); err == nil || !strings.Contains(out, tc.want) {
			t.Errorf("%q: %v, want it refused with %q:\n%s", tc.name, err, tc.want, out)
		}
		if !maps.Equal(c.files(), had) {
			t.Fatalf("%q was refused and changed the checkout", tc.name)
		}
	}
}

// TestNotifier adds a service as README says, and holds it to everything that the others are held to.
func TestNotifier(t *testing.T) {
	t.Parallel()
	c := newClone(t)
	had := c.files()
	c.mustRun("make", "new-service", "NAME=notifier")

	var changed []string
	for path, content := range c.files() {
		if had[path] != content && !strings.HasPrefix(path, "services/notifier/") {
			changed = append(changed, path)
		}
	}
	slices.Sort(changed)
	want := []string{"deploy/chart/testdata/defaults.yaml", "deploy/chart/testdata/everything.yaml", "deploy/chart/testdata/minimal.yaml",
		"deploy/chart/testdata/production.yaml", "deploy/compose.yaml", "go.work", "helm/agentbus/values.yaml"}
	if !slices.Equal(changed, want) {
		t.Errorf("besides services/notifier %v were changed, want %v", changed, want)
	}

	c.mustRun("go", "test", "-count=1", "./services/notifier")
	c.mustRun("make", "standalone", "tidy-check", "fmt-check", "MODULES=services/notifier")
	c.mustRun("go", "test", "-count=1", "./deploy/chart")
	c.mustRun("go", "test", "-count=1", "-run", "TestRules|TestAlerts", "./services/metrics-collector")
	if images := c.mustRun("make", "-s", "image-list"); !strings.Contains(images, `{"name":"notifier","target":"static"}`) {
		t.Errorf("make images builds %s", images)
	}
	c.mustRun("make", "build", "PROGRAMS=services/notifier", "GOFLAGS=") // without the race detector, which needs cgo
	runsInLocalStack(t, filepath.Join(c.dir, "bin"))
}

// runsInLocalStack starts what is in bin, a notifier, and sees it handle an event.
func runsInLocalStack(t *testing.T, bin string) {
	t.Helper()
	s, err := localstack.Start(t.Context(), localstack.Options{Dir: t.TempDir(), Bin: bin, FreePorts: true,
		RedisURL: servertest.Redis(t), DatabaseURL: "postgres://nobody.asks", Env: map[string]map[string]string{"": {"BUS_PREFIX": servertest.Prefix(t)}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}()

	var targets []struct {
		Targets []string
		Labels  map[string]string
	}
	data, err := os.ReadFile(filepath.Join(s.Dir(), "targets.json"))
	if err := errors.Join(err, json.Unmarshal(data, &targets)); err != nil {
		t.Fatal(err)
	}
	if len(targets) != 1 || targets[0].Labels["job"] != "notifier" || "http://"+targets[0].Targets[0] != s.URL("notifier", "OPS_ADDR") {
		t.Errorf("Prometheus is told of %v", targets)
	}

	b, err := bus.Open(t.Context(), s.BusConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	e, err := events.New(events.WorkflowStarted, "wf-1", "tester", &events.WorkflowStartedData{Stage: events.Audit})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, 20*time.Second, func() error {
		log, err := os.ReadFile(s.Logs("notifier")[0])
		if err == nil && !strings.Contains(string(log), e.ID) {
			err = fmt.Errorf("%s is not in the log:\n%s", e.ID, log)
		}
		return err
	})
}

// TestEachServiceHasItsPort: what listens where by default is written in the main.go of each service alone.
func TestEachServiceHasItsPort(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(checkout + "/services/*/main.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("services: %v, %v", files, err)
	}
	owner := map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		ops := regexp.MustCompile(`Ops:\s+"127\.0\.0\.1:(\d+)"`).FindSubmatch(data)
		if ops == nil {
			t.Errorf("%s has no port for OPS_ADDR", file)
			continue
		}
		if other := owner[string(ops[1])]; other != "" {
			t.Errorf("%s and %s have the port %s", other, file, ops[1])
		}
		owner[string(ops[1])] = file
	}
}
