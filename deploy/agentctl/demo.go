package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"agentbus/deploy/agentctl/coordinator"
	"agentbus/deploy/agentctl/record"
	"agentbus/deploy/localstack"
)

// Targets of the demo on two cores; missing one is told, and is no failure: the machine may be slow.
const (
	startupTarget = 10 * time.Second
	wholeTarget   = 60 * time.Second
	memoryTarget  = 300 // MiB, of all services together at rest
)

// demoTimeout bounds the workflow on a machine that compiles everything for the first time.
const demoTimeout = 5 * time.Minute

func (a *app) demoCommand() *cobra.Command {
	var f stackFlags
	var file string
	c := &cobra.Command{
		Use: "demo", Short: "Run one workflow through all services and show what each consumer recorded", Args: usage(cobra.NoArgs),
		Long: `Start Redis, PostgreSQL and all services, run one workflow to its end, check that
the service it delivered answers and that each of the four consumers recorded
every event of it, and stop everything. Fails when any of them did not.

With REDIS_URL or DATABASE_URL set those servers are used.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			begun := time.Now()
			body, err := a.readRequest(file)
			if err != nil {
				return err
			}
			signals := make(chan os.Signal, 2)
			signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
			defer signal.Stop(signals)
			s, err := a.start(cmd.Context(), a.options(f), signals)
			if err != nil || s == nil {
				return err
			}
			d := &demo{app: a, stack: s}
			err = d.run(cmd.Context(), file, body, signals)
			err = errors.Join(err, a.stop(s, signals))
			if err == nil {
				return d.figures(time.Since(begun))
			}
			return err
		},
	}
	f.add(c)
	c.Flags().StringVarP(&file, "file", "f", filepath.Join(checkout(), "deploy", "demo", "workflow.json"), "what to run, JSON or YAML")
	return c
}

// demo is one run of it.
type demo struct {
	*app
	stack  *localstack.Stack
	memory int64 // of the services at rest, in bytes
}

func (d *demo) run(ctx context.Context, file string, body []byte, signals <-chan os.Signal) error {
	ctx, cancel := context.WithTimeoutCause(ctx, demoTimeout, fmt.Errorf("the workflow did not end within %s", demoTimeout))
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	died := make(chan error, 1)
	go func() {
		select {
		case <-signals:
			died <- errors.New("interrupted")
		case p := <-d.stack.Died():
			died <- p.Ended()
		case <-stop:
			return
		}
		cancel()
	}()
	err := d.deliver(ctx, file, body)
	select {
	case why := <-died:
		return why
	default:
		return err
	}
}

func (d *demo) deliver(ctx context.Context, file string, body []byte) (err error) {
	if d.memory, err = d.stack.Memory(); err != nil {
		return err
	}
	d.note("ready in %s; %s hold %d MiB at rest\n", took(d.stack.Startup), count(len(d.stack.Processes()), "process", "processes"), d.memory>>20)
	d.coordinatorURL, d.websocketURL = d.stack.Connection().Coordinator, d.stack.Connection().WebSocket

	proof := &proof{stack: d.stack}
	if err := proof.begin(ctx); err != nil {
		return err
	}
	w, _, err := d.coordinator().Create(ctx, body, uuid.NewString())
	if err != nil {
		return err
	}
	d.note("submitted %s", fromHere(file))
	proof.frames = record.CollectAs(ctx, d.websocket, d.token, w.ID)
	defer proof.frames.Close()
	if w, err = d.present(ctx, w); err != nil {
		return err
	}
	answer, err := visit(ctx, w)
	if err != nil {
		return err
	}
	d.note("\nthe delivered service: %s", answer)
	return d.show(proof.collect(ctx, w.ID))
}

// visit asks the delivered service itself for its health.
func visit(ctx context.Context, w coordinator.Workflow) (string, error) {
	var summary struct {
		URL    string `json:"url"`
		Health struct {
			Path string `json:"path"`
		} `json:"health"`
	}
	s := w.StageOf("deployment")
	if s == nil || json.Unmarshal(s.Summary, &summary) != nil || summary.URL == "" {
		return "", errors.New("the deployment stage names no URL of a service")
	}
	url := summary.URL + summary.Health.Path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("the delivered service does not answer: %w", err)
	}
	defer response.Body.Close()
	answer := fmt.Sprintf("GET %s answered %s", url, response.Status)
	if response.StatusCode/100 != 2 {
		return "", errors.New(answer)
	}
	return answer, nil
}

// show prints what each consumer recorded and returns what is wrong.
func (d *demo) show(results []finding, err error) error {
	if err != nil {
		return err
	}
	d.note("\nWhat was published of this workflow, and what the four consumers recorded of it:\n")
	rows := [][]string{}
	for _, r := range results {
		verdict := "complete"
		if r.wrong != nil {
			verdict = "WRONG: " + r.wrong.Error()
			err = errors.Join(err, fmt.Errorf("%s: %w", r.who, r.wrong))
		}
		if d.json() {
			if printErr := d.print(map[string]string{"type": "record", "consumer": r.who, "recorded": r.what, "verdict": verdict}); printErr != nil {
				return printErr
			}
		}
		rows = append(rows, []string{"  " + r.who, r.what, verdict})
	}
	if d.json() {
		return err
	}
	return errors.Join(table(d.out, rows...), err)
}

// figures prints the measures beside their targets.
func (d *demo) figures(whole time.Duration) error {
	if d.json() {
		return d.print(map[string]any{"type": "figures", "startup_seconds": d.stack.Startup.Seconds(), "total_seconds": whole.Seconds(), "memory_bytes": d.memory})
	}
	judge := func(met bool) string {
		if met {
			return "met"
		}
		return "missed"
	}
	fmt.Fprintln(d.out)
	return table(d.out,
		[]string{"  start-up", took(d.stack.Startup), "target under " + took(startupTarget), judge(d.stack.Startup < startupTarget)},
		[]string{"  whole demo", took(whole), "target under 60s", judge(whole < wholeTarget)},
		[]string{"  memory of the services at rest", fmt.Sprintf("%d MiB", d.memory>>20), fmt.Sprintf("target under %d MiB", memoryTarget), judge(d.memory>>20 < memoryTarget)})
}

// fromHere is the path as the person at the terminal would write it.
func fromHere(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
