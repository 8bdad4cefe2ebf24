package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Settings are what the four stage agents have in common, from the environment.
// Embed it in the agent's own configuration.
type Settings struct {
	WorkspaceDir  string        `envconfig:"WORKSPACE_DIR" default:"data/work" desc:"folder in which each task gets a directory of its own, removed when the task ends"`
	ArtifactURL   string        `envconfig:"ARTIFACT_URL" default:"data/artifacts" desc:"where artifacts are kept, the same for all agents: a folder, file:///..., or s3://, azblob://, gs:// in binaries built with -tags s3, azblob, gcs"`
	ToolCommand   Argv          `envconfig:"TOOL_COMMAND" desc:"program that does the stage's work instead of the built-in tool: a JSON array of strings, or words separated by spaces; no shell is involved"`
	ToolEnv       []string      `envconfig:"TOOL_ENV" desc:"names of further environment variables that the tool may see; by default PATH, HOME, locale and Go's"`
	ToolTimeout   time.Duration `envconfig:"TOOL_TIMEOUT" default:"10m" desc:"time limit of one task"`
	ToolMemory    int64         `envconfig:"TOOL_MEMORY" unit:"bytes" default:"2147483648" desc:"limit on the memory of all processes of a task together; 0 is none"`
	ToolProcesses int           `envconfig:"TOOL_PROCESSES" default:"256" desc:"limit on the processes of a task at once; 0 is none"`
	ToolOutput    int64         `envconfig:"TOOL_OUTPUT" unit:"bytes" default:"33554432" desc:"limit on what one command of a task prints; 0 is none"`
	Concurrency   int           `envconfig:"CONCURRENCY" default:"2" desc:"tasks at once"`
}

// Validate implements the optional method of configurations.
func (s *Settings) Validate() error {
	var wrong []error
	if s.ToolTimeout <= 0 {
		wrong = append(wrong, fmt.Errorf("TOOL_TIMEOUT=%q: must be longer than 0s, such as 10m", s.ToolTimeout))
	}
	for name, value := range map[string]int64{"TOOL_MEMORY": s.ToolMemory, "TOOL_PROCESSES": int64(s.ToolProcesses), "TOOL_OUTPUT": s.ToolOutput} {
		if value < 0 {
			wrong = append(wrong, fmt.Errorf("%s=%d: must be 0 (no limit) or more", name, value))
		}
	}
	if s.Concurrency < 1 || s.Concurrency > 64 {
		wrong = append(wrong, fmt.Errorf("CONCURRENCY=%d: must be 1 to 64", s.Concurrency))
	}
	return errors.Join(wrong...)
}

// Runner starts processes under these settings' limits.
func (s *Settings) Runner() *Runner {
	return &Runner{Limits: Limits{Memory: s.ToolMemory, Processes: s.ToolProcesses, Output: s.ToolOutput}, Env: s.ToolEnv}
}

// Bench makes the place where builtin, or the user's command instead, runs. The
// caller closes its Store.
func (s *Settings) Bench(ctx context.Context, builtin Tool) (*Bench, error) {
	store, err := OpenStore(ctx, s.ArtifactURL)
	if err != nil {
		return nil, err
	}
	b := &Bench{Tool: builtin, Store: store, Dir: s.WorkspaceDir, Timeout: s.ToolTimeout}
	if len(s.ToolCommand) > 0 {
		args := append([]string{}, s.ToolCommand...)
		if strings.ContainsRune(args[0], filepath.Separator) { // it runs in another directory
			if args[0], err = filepath.Abs(args[0]); err != nil {
				return nil, errors.Join(err, store.Close())
			}
		}
		b.Tool = &Command{Args: args, Runner: s.Runner()}
	}
	return b, nil
}

// Argv is a program and its arguments.
type Argv []string

// Decode implements envconfig.Decoder.
func (a *Argv) Decode(value string) error {
	value = strings.TrimSpace(value)
	*a = nil
	if strings.HasPrefix(value, "[") {
		if err := json.Unmarshal([]byte(value), (*[]string)(a)); err != nil || len(*a) == 0 || (*a)[0] == "" {
			return errors.New(`must be a JSON array of strings, such as ["/usr/bin/make","-C","x y"], or words separated by spaces`)
		}
		return nil
	}
	if strings.ContainsAny(value, `"'\`) {
		return errors.New(`quotes have no meaning here; write a JSON array of strings, such as ["/usr/bin/make","-C","x y"]`)
	}
	*a = strings.Fields(value)
	return nil
}
