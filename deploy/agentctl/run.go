package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"agentbus/deploy/agentctl/coordinator"
)

// maxInput is more than a coordinator takes, in bytes.
const maxInput = 4 << 20

func (a *app) runCommand() *cobra.Command {
	var key string
	var watch bool
	c := &cobra.Command{
		Use: "run FILE", Short: "Create a workflow from a file, JSON or YAML", Args: usage(cobra.ExactArgs(1)),
		Long: `Create a workflow from a file, JSON or YAML; - reads standard input.

The request carries an Idempotency-Key, so that it is repeated safely when an
answer is lost. With a key of your own, running the same file again shows the
workflow of the first time.`,
		Example: `  agentctl run deploy/demo/workflow.json --watch
  agentctl run - --idempotency-key release-42 < workflow.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := a.readRequest(args[0])
			if err != nil {
				return err
			}
			if key == "" {
				key = uuid.NewString()
			}
			w, replayed, err := a.coordinator().Create(cmd.Context(), body, key)
			if err != nil {
				return err
			}
			return a.made(cmd.Context(), w, replayed, key, watch)
		},
	}
	makingFlags(c, &key, &watch)
	return c
}

// makingFlags are those of every command that makes a workflow.
func makingFlags(c *cobra.Command, key *string, watch *bool) {
	c.Flags().StringVar(key, "idempotency-key", "", "names this request, so that it creates one workflow only (default: a random one)")
	c.Flags().BoolVarP(watch, "watch", "w", false, "follow it to its end; exit code 3 when it fails")
}

// made tells of a workflow that was asked for, and follows it when it is to be watched.
func (a *app) made(ctx context.Context, w coordinator.Workflow, replayed bool, key string, watch bool) error {
	if !a.json() && replayed {
		fmt.Fprintf(a.err, "the key %s was used before: this is the workflow of that time\n", key)
	}
	switch {
	case watch:
		return a.watch(ctx, w)
	case a.json():
		return a.print(w)
	}
	fmt.Fprintf(a.out, "%s (%s) is %s; follow it with: agentctl workflows watch %s\n", w.ID, w.Name, w.State, w.ID)
	return nil
}

// readRequest reads a file as JSON. What it says is the coordinator's to judge.
func (a *app) readRequest(name string) ([]byte, error) {
	in := a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxInput:
		return nil, fmt.Errorf("%s has more than %d bytes", name, maxInput)
	case len(bytes.TrimSpace(text)) == 0:
		return nil, fmt.Errorf("%s is empty", name)
	}
	ext := filepath.Ext(name)
	if ext == ".yaml" || ext == ".yml" || ext != ".json" && bytes.TrimSpace(text)[0] != '{' {
		return fromYAML(name, text)
	}
	return text, checkJSON(name, text)
}

func fromYAML(name string, text []byte) ([]byte, error) {
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil {
		return nil, fmt.Errorf("%s is no YAML: %w", name, err)
	}
	body, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be written as JSON: %w", name, err)
	}
	return body, nil
}

// checkJSON says where a mistake is.
func checkJSON(name string, text []byte) error {
	var value any
	err := json.Unmarshal(text, &value)
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return err
	}
	before := text[:min(int(syntax.Offset), len(text))]
	line := bytes.Count(before, []byte("\n")) + 1
	return fmt.Errorf("%s:%d:%d: %w", name, line, len(before)-(bytes.LastIndexByte(before, '\n')+1), err)
}

// seconds between two times for a table.
func between(from, to *time.Time) string {
	if from == nil || to == nil {
		return ""
	}
	return took(to.Sub(*from))
}
