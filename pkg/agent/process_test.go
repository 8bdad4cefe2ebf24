package agent

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestRunReturnsHowTheCommandEnded(t *testing.T) {
	var out bytes.Buffer
	p := shell("cat; echo oops >&2; exit 3")
	p.Stdin, p.Stdout = strings.NewReader("hello"), &out
	exit, err := new(Runner).Run(t.Context(), newTask(t), p)
	if err != nil {
		t.Fatal(err)
	}
	if exit.Code != 3 || exit.Stderr != "oops" || out.String() != "hello" {
		t.Errorf("exit is %+v, stdout %q", exit, out.String())
	}
}

func TestRunNamesAProgramThatIsMissing(t *testing.T) {
	_, err := new(Runner).Run(t.Context(), newTask(t), Process{Args: []string{"/no/such/program"}})
	if f := wantFailure(t, err, CodeToolFailed); !strings.Contains(f.Reason, "/no/such/program") {
		t.Errorf("the reason does not name the program: %s", f.Reason)
	}
}

func TestEnvironmentIsAnAllowList(t *testing.T) {
	t.Setenv("REDIS_URL", "redis://:secret@localhost")
	t.Setenv("DEPLOY_TOKEN", "wanted")
	var out bytes.Buffer
	p := shell("env")
	p.Stdout = &out
	if _, err := (&Runner{Env: []string{"DEPLOY_TOKEN"}}).Run(t.Context(), newTask(t), p); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "REDIS_URL") || !strings.Contains(out.String(), "DEPLOY_TOKEN=wanted") || !strings.Contains(out.String(), "PATH=") {
		t.Errorf("the tool sees\n%s", out.String())
	}
}

// Each script leaves a process that a plain kill of the child would miss.
func TestCancelLeavesNothingBehind(t *testing.T) {
	for name, script := range map[string]string{
		"child in the group":          "sleep 300 & echo ready; wait",
		"child in a session":          "setsid sleep 300 & echo ready; wait",
		"session without environment": "setsid env -i /bin/sh -c 'sleep 300; :' & echo ready; wait",
		"deaf to SIGTERM":             "trap '' TERM; (trap '' TERM; sleep 300) & echo ready; while :; do sleep 300; done",
		"orphan in a session":         "(setsid sleep 300 &) ; echo ready; exec sleep 300",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			task := newTask(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			ready := make(chan struct{})
			p := shell(script)
			p.Stdout = &Lines{Each: func([]byte) { close(ready) }}
			ended := make(chan error, 1)
			go func() { _, err := new(Runner).Run(ctx, task, p); ended <- err }()
			select {
			case <-ready:
			case <-time.After(10 * time.Second):
				t.Fatal("the command did not begin")
			}
			// The watchdog has seen what is found by its ancestry only.
			eventually(t, 10*time.Second, "two processes run", func() bool { return marked(task) >= 2 || name == "session without environment" })
			if name == "session without environment" {
				<-time.After(3 * watchEvery)
			}
			reason := errors.New("asked to stop")
			begun := time.Now()
			cancel(reason)
			if err := <-ended; !errors.Is(err, reason) {
				t.Errorf("error is %v, want %v", err, reason)
			}
			if took := time.Since(begun); took > time.Second {
				t.Errorf("it took %s, more than a second", took)
			}
			if n := marked(task); n != 0 {
				t.Errorf("%d processes are left", n)
			}
		})
	}
}

func TestChildrenOfACommandThatEndedAreGone(t *testing.T) {
	task := newTask(t)
	exit, err := new(Runner).Run(t.Context(), task, shell("setsid sleep 300 & sleep 300 & exit 0"))
	if err != nil || exit.Code != 0 {
		t.Fatalf("exit %+v, error %v", exit, err)
	}
	if n := marked(task); n != 0 {
		t.Errorf("%d processes are left", n)
	}
}

func TestLimits(t *testing.T) {
	for name, tc := range map[string]struct {
		limits Limits
		script string
		code   Code
		want   string
	}{
		"memory":               {Limits{Memory: 32 << 20}, "x=$(head -c 100000000 /dev/zero | tr '\\0' x); sleep 300", CodeMemoryLimit, "32 MiB"},
		"processes":            {Limits{Processes: 5}, "for i in 1 2 3 4 5 6 7 8; do sleep 300 & done; wait", CodeProcessLimit, "limit is 5"},
		"processes in session": {Limits{Processes: 5}, "for i in 1 2 3 4 5 6 7 8; do setsid sleep 300 & done; wait", CodeProcessLimit, "limit is 5"},
		"output":               {Limits{Output: 10000}, "yes", CodeOutputLimit, "10000 bytes"},
		"output on stderr":     {Limits{Output: 10000}, "yes >&2", CodeOutputLimit, "10000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			task := newTask(t)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			_, err := (&Runner{Limits: tc.limits}).Run(ctx, task, shell(tc.script))
			if f := wantFailure(t, err, tc.code); !strings.Contains(f.Reason, tc.want) {
				t.Errorf("the reason does not name the limit %q: %s", tc.want, f.Reason)
			}
			if n := marked(task); n != 0 {
				t.Errorf("%d processes are left", n)
			}
		})
	}
}

func TestOrphansOfADeadAgentAreKilled(t *testing.T) {
	start := func(value string) *exec.Cmd {
		cmd := exec.Command("sleep", "300")
		cmd.Env = append(os.Environ(), markName+"="+value)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	gone, mine := start("task-1:1:1"), start(mark("task-2")) // pid 1 did not start in tick 1
	defer func() { _ = mine.Process.Kill(); _ = mine.Wait() }()
	ended := make(chan error, 1)
	go func() { ended <- gone.Wait() }()
	eventually(t, 5*time.Second, "the environments are in place", func() bool {
		return environ(gone.Process.Pid, markName) != "" && environ(mine.Process.Pid, markName) != ""
	})
	if KillOrphans(t.Context()) == 0 {
		t.Error("no orphan was found")
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		_ = gone.Process.Kill()
		t.Error("the orphan lives")
	}
	if id, ok := Identify(mine.Process.Pid); !ok || !id.Alive() {
		t.Error("a living agent's process was killed")
	}
}

func TestParseStatWithBracketsInTheName(t *testing.T) {
	line := "42 (a) b (c) S 7 40 40 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 12345 1000000 250 18446744073709551615"
	p, ok := parseStat(42, []byte(line))
	if !ok || p.parent != 7 || p.group != 40 || p.start != 12345 || p.memory != 250*int64(os.Getpagesize()) {
		t.Errorf("parsed %+v, %v", p, ok)
	}
	for _, bad := range []string{"", "42 (x", "42 (x) S 1"} {
		if _, ok := parseStat(42, []byte(bad)); ok {
			t.Errorf("%q was taken", bad)
		}
	}
}
