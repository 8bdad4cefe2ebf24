// Command bench measures agentbus on this machine, with servers and processes of its own: the bus alone,
// the four consumer services with PostgreSQL, fairness between types, growth, the cost of each guarantee, and others on the same
// work. It prints a table and keeps the raw results as JSON. PROFILE.md says where the time goes.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"agentbus/deploy/bench/contender"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// sections are what is measured, in this order. The others come first, while the machine is fresh and alike for all.
var sections = []section{
	{"others", "the same work by others: 16 synchronous publishers, four groups, as fast as it goes", others},
	{"bus", "the bus alone: publisher and four groups in one process", busAlone},
	{"services", "four consumer services as processes, PostgreSQL committing", services},
	{"fairness", "a quiet type beside one that is more than its group can handle", fairness},
	{"growth", "more groups, members, workflows; a backlog", growth},
	{"cost", "what each guarantee costs, as fast as it goes", cost},
}

type section struct {
	name, title string
	run         func(context.Context, *suite) error
}

func command() *cobra.Command {
	s := &suite{out: os.Stdout}
	var only []string
	var brief bool
	c := &cobra.Command{
		Use: "bench", Short: "Measure agentbus on this machine, beside others on the same work", Args: cobra.NoArgs,
		Long: `Measure agentbus on this machine, with servers and processes of its own.

` + list() + `
Events have about 350 bytes, over all 20 types and 1,000 workflows; Redis has its
AOF on, everysec. It takes about seven minutes; nothing else should run meanwhile.`,
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.measure, s.warmUp, s.backlog, s.rounds = 4*time.Second, time.Second, 1_000_000, 3
			if brief {
				s.measure, s.warmUp, s.backlog, s.rounds = 300*time.Millisecond, 100*time.Millisecond, 20_000, 1
			}
			return s.run(cmd.Context(), only)
		},
	}
	bin := ""
	if self, err := os.Executable(); err == nil {
		bin = filepath.Dir(filepath.Dir(self)) // this program is in bin/tools
	}
	c.Flags().StringSliceVar(&only, "only", nil, "measure these sections only, e.g. others,bus")
	c.Flags().BoolVar(&brief, "brief", false, "a third of a second each: a smoke test, not figures")
	c.Flags().StringVar(&s.folder, "out", filepath.Join(".agentbus", "bench"), "folder for results.json and profiles")
	c.Flags().StringVar(&s.bin, "bin", bin, "folder with the services' programs")
	c.AddCommand(&cobra.Command{Use: "nats-server DIR", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return contender.ServeNATS(cmd.Context(), args[0], os.Stdout)
		}})
	return c
}

func list() string {
	var b strings.Builder
	for _, s := range sections {
		fmt.Fprintf(&b, "  %-9s %s\n", s.name, s.title)
	}
	return b.String()
}
