package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"agentbus/pkg/agent"
	"agentbus/pkg/agent/agenttest"
	"agentbus/pkg/events"
)

// program is a service whose health check answers status, or that ends at once
// where status is 0, or never listens where it is -1.
func program(status int, says string) map[string]string {
	return map[string]string{
		"go.mod": "module example.com/greeter\n\ngo 1.22\n",
		"main.go": fmt.Sprintf(`package main

import (
	"fmt"
	"net/http"
	"os"
	"time"
)

const status = %d

func main() {
	fmt.Println("starting", %q)
	switch status {
	case 0:
		os.Exit(3)
	case -1:
		time.Sleep(time.Hour)
	}
	http.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, %q)
	})
	fmt.Println(http.ListenAndServe(os.Getenv("HOST")+":"+os.Getenv("PORT"), nil))
}
`, status, says, says),
	}
}

// place is where a test deploys; what it started is stopped with the test.
func place(t *testing.T) *deployer {
	t.Helper()
	d := &deployer{runner: new(agent.Runner), dir: filepath.Join(t.TempDir(), "deploy"), keep: 1}
	t.Cleanup(func() {
		list, err := sites(d.dir)
		if err != nil {
			t.Error(err)
		}
		for _, s := range list {
			releases, _ := s.releases()
			for _, r := range releases {
				if i, ok := s.instance(r.Version); ok {
					i.stop(context.Background())
				}
			}
		}
	})
	return d
}

// deploy runs the tool on these files.
func deploy(t *testing.T, ctx context.Context, d *deployer, workflow, parameters string, files map[string]string) (summary, agent.Result, error) {
	t.Helper()
	workspace := t.TempDir()
	source := filepath.Join(workspace, "inputs", "source")
	for name, content := range files {
		path := filepath.Join(source, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(workspace, ".tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	result, err := d.Run(ctx, agent.Task{
		WorkflowID: workflow, Stage: events.Deployment, CorrelationID: t.Name() + workflow, Attempt: 1, Parameters: json.RawMessage(parameters),
		Inputs:    []agent.Input{{Name: "source", Path: source, MediaType: agent.MediaTypeTree, SHA256: workflow}},
		Workspace: workspace, Report: func(int, string) {},
	})
	s, _ := result.Summary.(summary)
	return s, result, err
}

// answer is what the release at url says.
func answer(t *testing.T, url string) string {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url + "/healthz")
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// live is the current version and its process.
func live(t *testing.T, d *deployer) (string, instance, bool) {
	t.Helper()
	s, err := openSite(d.dir, "greeter")
	if err != nil {
		t.Fatal(err)
	}
	version, err := s.current()
	if err != nil {
		t.Fatal(err)
	}
	i, ok := s.instance(version)
	return version, i, ok
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(20 * time.Second); !ok(); {
		select {
		case <-over:
			t.Fatalf("not within 20 s: %s", what)
		case <-tick.C:
		}
	}
}

func TestReleasesReplaceEachOther(t *testing.T) {
	d := place(t)
	var before summary
	for n, workflow := range []string{"wf-1", "wf-2", "wf-3", "wf-4"} {
		s, _, err := deploy(t, t.Context(), d, workflow, `{}`, program(200, workflow))
		if err != nil {
			t.Fatal(err)
		}
		if s.Service != "greeter" || s.Health.Status != 200 || s.PreviousVersion != before.Version || s.Version == before.Version {
			t.Errorf("summary is %+v", s)
		}
		if got := answer(t, s.URL); got != workflow {
			t.Errorf("the release answers %q, want %q", got, workflow)
		}
		if n > 0 && answer(t, before.URL) == "wf-"+fmt.Sprint(n) {
			t.Error("the release before still answers")
		}
		if version, _, ok := live(t, d); version != s.Version || !ok {
			t.Errorf("current is %s (%v), want %s", version, ok, s.Version)
		}
		before = s
	}
	s, _ := openSite(d.dir, "greeter")
	if list, err := s.releases(); err != nil || len(list) != 2 {
		t.Errorf("%d releases are kept, want the current one and 1 more; error %v", len(list), err)
	}
}

func TestTheSameRequestTwiceIsOneRelease(t *testing.T) {
	d := place(t)
	first, _, err := deploy(t, t.Context(), d, "wf-1", `{}`, program(200, "one"))
	if err != nil {
		t.Fatal(err)
	}
	_, before, _ := live(t, d)
	second, _, err := deploy(t, t.Context(), d, "wf-1", `{}`, program(200, "one"))
	if err != nil {
		t.Fatal(err)
	}
	if _, after, _ := live(t, d); after != before || second.Version != first.Version || second.URL != first.URL {
		t.Errorf("it was released again: %+v, %+v", first, second)
	}
}

func TestUnhealthyReleaseLeavesTheOneBefore(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		want   string
	}{
		"answers 503": {503, "503 Service Unavailable bad"}, "never answers": {-1, "connection refused"}, "ends at once": {0, "the process ended"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := place(t)
			good, _, err := deploy(t, t.Context(), d, "wf-1", `{}`, program(200, "good"))
			if err != nil {
				t.Fatal(err)
			}
			s, result, err := deploy(t, t.Context(), d, "wf-2", `{"health_timeout_seconds":1}`, program(tc.status, "bad"))
			agenttest.WantFailure(t, err, agent.CodeUnhealthy, tc.want, "GET /healthz", "starting bad", good.Version+" stays live")
			if len(result.Artifacts) != 1 || result.Artifacts[0].Name != "release.log" {
				t.Errorf("artifacts are %+v", result.Artifacts)
			}
			version, _, _ := live(t, d)
			if got := answer(t, good.URL); got != "good" || version != good.Version {
				t.Errorf("the release before answers %q, current is %s", got, version)
			}
			site, _ := openSite(d.dir, "greeter")
			if _, ok := site.instance(s.Version); ok {
				t.Error("the unhealthy release still runs")
			}
			// The same workflow, tried again with what is healthy now, is served.
			if _, _, err := deploy(t, t.Context(), d, "wf-3", `{}`, program(200, "better")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCancellingStopsTheNewRelease(t *testing.T) {
	d := place(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	reason, ended := errors.New("cancelled by a user"), make(chan error, 1)
	files := program(-1, "bad")
	go func() { _, _, err := deploy(t, ctx, d, "wf-1", `{}`, files); ended <- err }()
	var begun instance
	eventually(t, "the release runs", func() bool {
		all, _ := filepath.Glob(filepath.Join(d.dir, "greeter/releases/r-*/"+processFile))
		return len(all) == 1 && readJSON(all[0], &begun) == nil
	})
	at := time.Now()
	cancel(reason)
	if err := <-ended; !errors.Is(err, reason) {
		t.Errorf("error is %v", err)
	}
	if took := time.Since(at); took > time.Second {
		t.Errorf("it took %s", took)
	}
	eventually(t, "the release is gone", func() bool { return !begun.Alive() })
	if version, _, _ := live(t, d); version != "" {
		t.Errorf("current is %s", version)
	}
}

func TestOneDeploymentOfAServiceAtATime(t *testing.T) {
	d := place(t)
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			workflow := fmt.Sprint("wf-", n)
			if _, _, err := deploy(t, t.Context(), d, workflow, `{}`, program(200, workflow)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	running := 0
	s, _ := openSite(d.dir, "greeter")
	list, err := s.releases()
	for _, r := range list {
		if _, ok := s.instance(r.Version); ok {
			running++
		}
	}
	if err != nil || running != 1 {
		t.Errorf("%d releases run, want 1; error %v", running, err)
	}
}

func TestWhatCannotBeDeployed(t *testing.T) {
	broken := program(200, "x")
	broken["main.go"] += "\nfunc f() int { return \"x\" }\n"
	for name, tc := range map[string]struct {
		parameters string
		files      map[string]string
		code       agent.Code
		want       string
	}{
		"does not compile": {`{}`, broken, agent.CodeBuildFailed, "main.go"},
		"no module":        {`{}`, map[string]string{"x": "y"}, agent.CodeBuildFailed, "go.mod"},
		"not a program":    {`{}`, map[string]string{"go.mod": "module example.com/lib\n", "lib.go": "package lib\n"}, agent.CodeBuildFailed, "package main"},
		"service":          {`{"service":"../x"}`, program(200, "x"), agent.CodeBadParameters, "DNS label"},
		"package":          {`{"package":"./../../x"}`, program(200, "x"), agent.CodeBadParameters, "inside the project"},
		"flag as package":  {`{"package":"-toolexec=/bin/sh"}`, program(200, "x"), agent.CodeBadParameters, "inside the project"},
		"health path":      {`{"health_path":"@example.com/"}`, program(200, "x"), agent.CodeBadParameters, "health_path"},
		"health timeout":   {`{"health_timeout_seconds":0}`, program(200, "x"), agent.CodeBadParameters, "1 to 3600"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := deploy(t, t.Context(), place(t), "wf-1", tc.parameters, tc.files)
			agenttest.WantFailure(t, err, tc.code, tc.want)
		})
	}
}

// supervise runs a supervisor; stopping it waits for its end.
func supervise(t *testing.T, d *deployer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- newSupervisor(d.dir, zerolog.Nop()).run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("supervisor: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func TestSupervisorStartsAgainWhatEnded(t *testing.T) {
	d := place(t)
	s, _, err := deploy(t, t.Context(), d, "wf-1", `{}`, program(200, "one"))
	if err != nil {
		t.Fatal(err)
	}
	stop := supervise(t, d)
	_, before, _ := live(t, d)
	before.stop(t.Context())
	var after instance
	eventually(t, "it runs again", func() bool {
		var ok bool
		_, after, ok = live(t, d)
		return ok && after.PID != before.PID && answer(t, after.url()) == "one"
	})
	stop()
	if after.Alive() {
		t.Error("the supervisor ended and left its release")
	}
	if version, _, _ := live(t, d); version != s.Version {
		t.Errorf("current is %s", version)
	}
}

func TestSupervisorAdoptsWhatAKilledAgentLeft(t *testing.T) {
	d := place(t)
	s, _, err := deploy(t, t.Context(), d, "wf-1", `{}`, program(200, "one"))
	if err != nil {
		t.Fatal(err)
	}
	site, _ := openSite(d.dir, "greeter")
	_, i, _ := live(t, d)
	self := i.Owner
	i.Owner = agent.ProcessID{PID: 1, Start: 1} // nobody
	if err := writeJSON(site.path(s.Version, processFile), i); err != nil {
		t.Fatal(err)
	}
	// And one that was killed before its release was confirmed.
	if err := errors.Join(os.Mkdir(site.path("r-unconfirmed", ""), 0o755),
		os.Link(site.path(s.Version, programFile), site.path("r-unconfirmed", programFile)),
		writeJSON(site.path("r-unconfirmed", releaseFile), release{Version: "r-unconfirmed"})); err != nil {
		t.Fatal(err)
	}
	lost, err := site.start("r-unconfirmed")
	if err != nil {
		t.Fatal(err)
	}
	lost.Owner = i.Owner
	if err := writeJSON(site.path("r-unconfirmed", processFile), lost); err != nil {
		t.Fatal(err)
	}
	stop := supervise(t, d)
	eventually(t, "it is adopted", func() bool {
		_, now, ok := live(t, d)
		return ok && now.ProcessID == i.ProcessID && now.Owner == self
	})
	eventually(t, "the unconfirmed one is gone", func() bool { return !lost.Alive() })
	if got := answer(t, s.URL); got != "one" {
		t.Errorf("it answers %q", got)
	}
	stop()
	if i.Alive() {
		t.Error("the supervisor ended and left the release it adopted")
	}
}
