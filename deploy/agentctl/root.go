package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/kelseyhightower/envconfig"
	"github.com/spf13/cobra"

	"agentbus/deploy/agentctl/coordinator"
	"agentbus/deploy/localstack"
	"agentbus/pkg/events/bus"
)

// app is what all commands share: streams and persistent flags.
type app struct {
	in       io.Reader
	out, err io.Writer

	coordinatorURL string
	websocketURL   string
	redisURL       string
	tokenFile      string
	token          string // of whom asks the coordinator and the live view; never shown
	dir            string
	output         output
}

// Where a service is when neither flag, environment nor a running stack says otherwise.
const (
	defaultCoordinator = "http://127.0.0.1:8080"
	defaultWebSocket   = "http://127.0.0.1:8081"
)

// run is the program without its process.
func run(ctx context.Context, args []string, in io.Reader, out, err io.Writer) int {
	a := &app{in: in, out: out, err: err}
	root := a.command()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(err)
	text, code := verdict(root.ExecuteContext(ctx))
	if text != "" {
		fmt.Fprintln(err, "agentctl:", text)
	}
	return code
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "agentctl",
		Short: "Run agentbus on this machine, run workflows, look after the event bus",
		Long: `Run agentbus on this machine, run workflows, look after the event bus.

A stack that was started with "agentctl up" in this checkout is found by itself.
Elsewhere say where the services are with flags or environment variables:

  --coordinator   AGENTBUS_COORDINATOR   the coordinator's HTTP API
  --websocket     AGENTBUS_WEBSOCKET     the websocket-manager
  --redis         REDIS_URL              Redis, for events, groups, dlq and verify
  --token-file    AGENTBUS_TOKEN         bearer token for the first two: a file
                                         that holds it, or the token itself

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 the workflow that was followed
failed or was cancelled; 4 a token is needed, or the one given is not accepted.`,
		Example: `  agentctl up
  agentctl run deploy/demo/workflow.json --watch
  agentctl events tail 'workflow.*'
  agentctl dlq replay db_writers --class error --dry-run
  agentctl verify --since 15m`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) (err error) {
			a.token, err = readToken(a.tokenFile)
			return err
		},
	}
	root.SetVersionTemplate("agentctl {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w\n%s --help lists the flags", err, cmd.CommandPath())
	})
	flags := root.PersistentFlags()
	flags.StringVar(&a.coordinatorURL, "coordinator", "", "URL of the coordinator (default: the running stack's, else "+defaultCoordinator+")")
	flags.StringVar(&a.websocketURL, "websocket", "", "URL of the websocket-manager (default: the running stack's, else "+defaultWebSocket+")")
	flags.StringVar(&a.redisURL, "redis", "", "URL of Redis (default: the running stack's, else redis://127.0.0.1:6379/0)")
	flags.StringVar(&a.tokenFile, "token-file", "", "file with the bearer token for the coordinator and the websocket-manager (default: "+tokenVariable+")")
	flags.StringVar(&a.dir, "dir", envOr("AGENTBUS_DIR", filepath.Join(checkout(), ".agentbus")), "folder of the local stack: data, logs, work")
	flags.VarP(&a.output, "output", "o", "table or json; json is one object, and one per line where data streams")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp)) // the flag exists

	const stack, work, ops = "stack", "workflows", "bus"
	root.AddGroup(&cobra.Group{ID: stack, Title: "The local stack:"}, &cobra.Group{ID: work, Title: "Workflows:"}, &cobra.Group{ID: ops, Title: "The event bus:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(stack, a.upCommand(), a.demoCommand(), a.benchCommand())
	add(work, a.runCommand(), a.workflowsCommand())
	add(ops, a.eventsCommand(), a.groupsCommand(), a.dlqCommand(), a.verifyCommand())
	return root
}

// family is a command that only holds others.
func family(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef("unknown command %q for %q; %s --help lists them", args[0], cmd.CommandPath(), cmd.CommandPath())
		}
		return cmd.Help()
	}}
	c.AddCommand(commands...)
	return c
}

// version is what the toolchain has recorded.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}

// checkout is the folder that this program's bin/ is in.
func checkout() string {
	exe, err := os.Executable()
	if err == nil {
		exe, err = filepath.EvalSymlinks(exe)
	}
	if dir := filepath.Dir(exe); err == nil && filepath.Base(dir) == "bin" {
		return filepath.Dir(dir)
	}
	return "."
}

func envOr(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// place is where something is: by flag, environment, the running stack, or default.
func (a *app) place(flag, variable string, running func(localstack.Connection) string, otherwise string) string {
	if flag != "" {
		return flag
	}
	if value := os.Getenv(variable); value != "" {
		return value
	}
	if c, err := localstack.Running(a.dir); err == nil && running(c) != "" {
		return running(c)
	}
	return otherwise
}

func (a *app) coordinator() *coordinator.Client {
	return &coordinator.Client{Token: a.token, Base: a.place(a.coordinatorURL, "AGENTBUS_COORDINATOR",
		func(c localstack.Connection) string { return c.Coordinator }, defaultCoordinator)}
}

func (a *app) websocket() string {
	return a.place(a.websocketURL, "AGENTBUS_WEBSOCKET", func(c localstack.Connection) string { return c.WebSocket }, defaultWebSocket)
}

// openBus connects to Redis as the environment says for the services.
func (a *app) openBus(ctx context.Context) (*bus.Bus, error) {
	var c bus.Config
	if err := envconfig.Process("", &c); err != nil {
		return nil, err
	}
	c.URL = a.place(a.redisURL, "REDIS_URL", func(c localstack.Connection) string { return c.RedisURL }, c.URL)
	ctx, cancel := context.WithTimeoutCause(ctx, redisPatience, errors.New("it does not answer"))
	defer cancel()
	b, err := bus.Open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("no usable Redis at %s: %w; start the stack with `make up`, or say where it is with --redis", withoutPassword(c.URL), err)
	}
	return b, nil
}
