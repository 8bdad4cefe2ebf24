package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"agentbus/deploy/agentctl/wsbench"
)

// benchCommand runs the program that make builds beside the services: what it compares with is
// linked into it alone.
func (a *app) benchCommand() *cobra.Command {
	c := &cobra.Command{Use: "bench", Short: "Measure on this machine, with servers and services of its own",
		Long: `Measure the bus, the consumer services, growth and the cost of each guarantee, beside
others on the same work, and print one table: about seven minutes. "make bench"
builds all that is needed, "agentctl bench ws" measures the live view.`,
		Args: cobra.ArbitraryArgs, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if slices.Contains(args, "--help") || slices.Contains(args, "-h") {
				if err := cmd.Help(); err != nil {
					return err
				}
				fmt.Fprintln(a.out, "\nFlags of the measurement:")
			}
			program := filepath.Join(ownFolder(), "tools", "bench")
			if _, err := os.Stat(program); err != nil {
				return fmt.Errorf("%s is not there: make bench builds it, in a checkout", program)
			}
			run := exec.CommandContext(cmd.Context(), program, args...)
			run.Stdin, run.Stdout, run.Stderr = os.Stdin, a.out, a.err
			run.Cancel = func() error { return run.Process.Signal(os.Interrupt) } // it stops its servers
			return run.Run()
		}}
	c.AddCommand(a.benchWSCommand())
	return c
}

// ownFolder is where this program is, and the services with it.
func ownFolder() string {
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	return filepath.Dir(self)
}

func (a *app) benchWSCommand() *cobra.Command {
	var o wsbench.Options
	c := &cobra.Command{Use: "ws", Short: "Measure the live view: memory of idle clients, propagation, deaf clients", Args: usage(cobra.NoArgs),
		Long: `Measure the live view: one websocket-manager and its Redis as processes of their
own, clients that are real connections, all on this machine.

  idle   resident memory per connection that only waits
  busy   from an event's timestamp to its frame in a client
  deaf   200 clients, then again with 20 that never read: what the others notice

It takes about a minute and as many open files as there are clients.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Idle < 1 || o.Busy < 1 || o.PerSecond < 1 || o.For < time.Second {
				return usagef("--idle, --busy and --rate must be 1 or more, --for 1s or more")
			}
			o.Progress = func(what string) { fmt.Fprintln(a.err, "measuring", what) }
			r, err := wsbench.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			return a.showBenchWS(r)
		}}
	c.Flags().StringVar(&o.Bin, "bin", ownFolder(), "folder with the services' programs")
	c.Flags().IntVar(&o.Idle, "idle", 10_000, "idle clients")
	c.Flags().IntVar(&o.Busy, "busy", 1_000, "clients under load, of 100 workflows")
	c.Flags().IntVar(&o.PerSecond, "rate", 2_000, "events per second")
	c.Flags().DurationVar(&o.For, "for", 10*time.Second, "how long each measurement under load takes")
	return c
}

// Targets of the live view, in the table of services/websocket-manager/README.md.
const (
	targetKiB   = 40.0
	targetP99   = 50 * time.Millisecond
	targetRatio = 1.2
)

func (a *app) showBenchWS(r *wsbench.Result) error {
	if a.json() {
		return a.print(r)
	}
	met := func(ok bool) string {
		if ok {
			return "met"
		}
		return "missed"
	}
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond)) }
	if err := table(a.out,
		[]string{"", "CLIENTS", "LOAD", "MEASURED", "TARGET", ""},
		[]string{"idle", fmt.Sprint(r.Idle.Clients), fmt.Sprintf("connected in %.1f s", r.Idle.Seconds),
			fmt.Sprintf("%.1f KiB each", r.Idle.KiB), fmt.Sprintf("under %.0f KiB", targetKiB), met(r.Idle.KiB < targetKiB)},
		[]string{"busy", fmt.Sprint(r.Busy.Clients), fmt.Sprintf("%d events/s of %d workflows", r.Busy.PerSecond, r.Busy.Workflows),
			fmt.Sprintf("p50 %s, p99 %s, p99.9 %s", ms(r.Busy.P50), ms(r.Busy.P99), ms(r.Busy.P999)), "p99 under " + ms(targetP99), met(r.Busy.P99 < targetP99)},
		[]string{"", "", "", fmt.Sprintf("%d frames of %.0f", r.Busy.Frames, r.Busy.Expected), "", ""},
		[]string{"deaf", fmt.Sprintf("%d, %d deaf", r.Deaf.Clients, r.Deaf.Deaf), fmt.Sprintf("%d events/s", r.Busy.PerSecond),
			fmt.Sprintf("p99 of the others %s, with none deaf %s", ms(r.Deaf.With.P99), ms(r.Deaf.Without.P99)),
			fmt.Sprintf("under %.1f times", targetRatio), fmt.Sprintf("%.2f times, %s", r.Deaf.Ratio, met(r.Deaf.Ratio < targetRatio))},
	); err != nil {
		return err
	}
	if r.Busy.Broken > 0 || r.Deaf.With.Broken > 0 {
		return errors.New("connections of clients that read were broken")
	}
	return nil
}
