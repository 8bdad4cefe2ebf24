package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"agentbus/pkg/agent"
)

// deployer is the built-in tool: it builds the input source, starts the program
// beside the current release, confirms it by its health check, makes it the
// current one and stops the one before. A release that is not confirmed is
// stopped, and the one before stays what it was.
type deployer struct {
	runner *agent.Runner
	dir    string // DEPLOY_DIR
	keep   int    // old releases that are not removed
}

// parameters of the stage.
type parameters struct {
	Service              string `json:"service"`     // default: the last element of the module's path
	Package              string `json:"package"`     // what to build, relative to the project
	HealthPath           string `json:"health_path"` // answers 2xx when the release can serve
	HealthTimeoutSeconds int    `json:"health_timeout_seconds"`
}

// summary is what the stage reports.
type summary struct {
	Service         string `json:"service"`
	Version         string `json:"version"`
	URL             string `json:"url,omitempty"`
	PreviousVersion string `json:"previous_version,omitempty"`
	Health          health `json:"health"`
}

var (
	servicePattern = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
	packagePattern = regexp.MustCompile(`^\.(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$`)
	modulePattern  = regexp.MustCompile(`(?m)^module\s+"?([^\s"]+)"?`)
)

// Run implements agent.Tool.
func (d *deployer) Run(ctx context.Context, t agent.Task) (agent.Result, error) {
	p := parameters{Package: ".", HealthPath: "/healthz", HealthTimeoutSeconds: 20}
	if err := t.Decode(&p); err != nil {
		return agent.Result{}, err
	}
	source, err := t.Source()
	if err != nil {
		return agent.Result{}, err
	}
	if err := p.complete(source); err != nil {
		return agent.Result{}, err
	}
	s, err := openSite(d.dir, p.Service)
	if err != nil {
		return agent.Result{}, err
	}
	t.Report(5, "waiting for other deployments of "+p.Service)
	unlock, err := s.lock(ctx)
	if err != nil {
		return agent.Result{}, err
	}
	defer unlock()
	return d.deploy(ctx, t, s, p, source)
}

// complete fills in the service and checks everything.
func (p *parameters) complete(source string) error {
	if p.Service == "" {
		text, err := os.ReadFile(filepath.Join(source, "go.mod"))
		if err != nil {
			return fail(agent.CodeBuildFailed, "the project has no go.mod at its top; deploy a Go module, or set TOOL_COMMAND to a tool that deploys what you have")
		}
		if m := modulePattern.FindSubmatch(text); m != nil {
			p.Service = string(m[1][strings.LastIndexByte(string(m[1]), '/')+1:])
		}
	}
	switch {
	case !servicePattern.MatchString(p.Service):
		return fail(agent.CodeBadParameters, "service must be a DNS label such as greeter, is %q", p.Service)
	case !packagePattern.MatchString(p.Package) || strings.Contains(p.Package, ".."):
		return fail(agent.CodeBadParameters, "package must be a path inside the project such as ./cmd/server, is %q", p.Package)
	case !strings.HasPrefix(p.HealthPath, "/") || strings.ContainsAny(p.HealthPath, " \r\n\t#"):
		return fail(agent.CodeBadParameters, "health_path must begin with / and be a URL's path, is %q", p.HealthPath)
	case p.HealthTimeoutSeconds < 1 || p.HealthTimeoutSeconds > 3600:
		return fail(agent.CodeBadParameters, "health_timeout_seconds must be from 1 to 3600, is %d", p.HealthTimeoutSeconds)
	}
	return nil
}

// version is the same for the same workflow and source: a request that comes twice
// makes one release.
func version(t agent.Task) string {
	in, _ := t.Input("source")
	sum := sha256.Sum256([]byte(t.WorkflowID + "\x00" + in.SHA256))
	return "r-" + hex.EncodeToString(sum[:6])
}

func (d *deployer) deploy(ctx context.Context, t agent.Task, s *site, p parameters, source string) (agent.Result, error) {
	r := release{Version: version(t), WorkflowID: t.WorkflowID, HealthPath: p.HealthPath, Created: time.Now().UTC()}
	if in, ok := t.Input("source"); ok {
		r.Source = in.SHA256
	}
	previous, err := s.current()
	if err != nil {
		return agent.Result{}, err
	}
	limit := time.Duration(p.HealthTimeoutSeconds) * time.Second
	out := summary{Service: p.Service, Version: r.Version, PreviousVersion: previous}

	running, ok := s.instance(r.Version)
	if ok && previous == r.Version { // this very request was served before
		out.PreviousVersion, out.URL = "", running.url()
		if out.Health, ok, err = confirm(ctx, running, p.HealthPath, limit); ok || err != nil {
			return agent.Result{Summary: out}, err
		}
	}
	running.stop(ctx) // what an agent that was killed in the middle left

	if _, err := s.release(r.Version); err != nil {
		t.Report(10, "building "+p.Service)
		if err := d.build(ctx, t, s, r, source, p.Package); err != nil {
			return agent.Result{}, err
		}
	}
	t.Report(60, "starting "+r.Version)
	begun, err := s.start(r.Version)
	if err != nil {
		return agent.Result{}, err
	}
	t.Report(70, "waiting for GET "+p.HealthPath)
	out.Health, ok, err = confirm(ctx, begun, p.HealthPath, limit)
	if err == nil && ok {
		err = s.switchTo(r.Version)
	}
	if err != nil || !ok {
		begun.stop(ctx)
		if err != nil {
			return agent.Result{}, err
		}
		return d.unhealthy(t, s, r, out, limit)
	}
	t.Report(95, r.Version+" is live")
	if old, ok := s.instance(previous); ok && previous != r.Version {
		old.stop(ctx)
	}
	out.URL = begun.url()
	return agent.Result{Summary: out}, s.prune(d.keep)
}

// unhealthy is the answer for a release that was not confirmed.
func (d *deployer) unhealthy(t agent.Task, s *site, r release, out summary, limit time.Duration) (agent.Result, error) {
	kept := "there is no release before it"
	if out.PreviousVersion != "" && out.PreviousVersion != r.Version {
		kept = "release " + out.PreviousVersion + " stays live"
	}
	log := s.lastLines(r.Version, 5)
	if log == "" {
		log = "it logged nothing"
	}
	result := agent.Result{Summary: out}
	if err := copyFile(s.path(r.Version, logFile), filepath.Join(t.Workspace, logFile)); err == nil {
		result.Artifacts = []agent.File{{Name: logFile, Path: logFile, MediaType: "text/plain"}}
	}
	// It was never live: keeping it would push a good old release out.
	if err := os.RemoveAll(s.path(r.Version, "")); err != nil {
		return agent.Result{}, err
	}
	return result, fail(agent.CodeUnhealthy, "%s %s did not answer GET %s with 2xx within %s: %s; its log ends: %s; %s",
		out.Service, r.Version, out.Health.Path, limit, out.Health.last, log, kept)
}

// build compiles the program into the release's folder, which becomes visible
// when it is complete.
func (d *deployer) build(ctx context.Context, t agent.Task, s *site, r release, source, pkg string) error {
	next := s.path(".new-"+r.Version, "")
	if err := errors.Join(os.RemoveAll(next), os.MkdirAll(next, 0o755)); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(next) }() // after a success there is nothing there
	exit, err := d.runner.Run(ctx, t, agent.Process{
		Args: []string{"go", "build", "-trimpath", "-o", filepath.Join(next, programFile), pkg},
		Dir:  source, Env: agent.GoEnvironment(),
	})
	if err != nil {
		return err
	}
	if exit.Code != 0 {
		return fail(agent.CodeBuildFailed, "go build of %s ended with %s: %s; correct the sources", pkg, exit.State, exit.Stderr)
	}
	if info, err := os.Stat(filepath.Join(next, programFile)); err != nil || info.Mode()&0o111 == 0 {
		return fail(agent.CodeBuildFailed, "%s is not a program: it needs package main; set the parameter package", pkg)
	}
	if err := writeJSON(filepath.Join(next, releaseFile), r); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(s.path(r.Version, "")), os.Rename(next, s.path(r.Version, "")))
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(in, 1<<20))
	return errors.Join(err, out.Close())
}

func fail(code agent.Code, format string, args ...any) error {
	return &agent.Failure{Code: code, Reason: fmt.Sprintf(format, args...)}
}
