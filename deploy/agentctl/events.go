package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/signal"
	"regexp"
	"syscall"

	"github.com/spf13/cobra"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
)

func (a *app) eventsCommand() *cobra.Command {
	return family("events", "Look at events as they stand in Redis", a.tailCommand())
}

var entryID = regexp.MustCompile(`^\d+(-\d+)?$`)

func (a *app) tailCommand() *cobra.Command {
	var from, workflow string
	var limit int
	c := &cobra.Command{
		Use: "tail [PATTERN...]", Short: "Print events as they are published",
		Long: `Print events as they are published, until Ctrl-C. It joins no group: nobody
misses an event because of it. A pattern is an event type, or has * for a part
of one; without a pattern all events are shown.`,
		Example: "  agentctl events tail 'workflow.*'\n  agentctl events tail '*.failed' --from start -o json",
		RunE: func(cmd *cobra.Command, patterns []string) error {
			if len(patterns) == 0 {
				patterns = []string{"*"}
			}
			types, err := events.Match(patterns...)
			if err != nil {
				return usageError{err}
			}
			switch {
			case from == "now":
				from = "$"
			case from == "start":
				from = "0"
			case !entryID.MatchString(from):
				return usagef("--from %q: must be now, start or an entry id such as 1700000000000-0", from)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			b, err := a.openBus(ctx)
			if err != nil {
				return err
			}
			defer func() { _ = b.Close() }()
			if !a.json() {
				fmt.Fprintf(a.err, "%s; Ctrl-C ends\n", count(len(types), "type of event", "types of events"))
			}
			shown := 0
			err = consumer.Tail(ctx, b, consumer.Tailing{Types: types, From: from}, func(m consumer.Message) error {
				if workflow != "" && m.Event.WorkflowID != workflow {
					return nil
				}
				if err := a.printEvent(m); err != nil {
					return err
				}
				if shown++; limit > 0 && shown >= limit {
					return errEnough
				}
				return nil
			})
			if errors.Is(err, errEnough) || ctx.Err() != nil {
				return nil
			}
			return err
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, s := range events.Catalogue() {
				names = append(names, string(s.Type))
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
	c.Flags().StringVar(&from, "from", "now", "begin now, at the start of what Redis keeps, or after an entry id")
	c.Flags().StringVar(&workflow, "workflow", "", "only events of this workflow")
	c.Flags().IntVarP(&limit, "limit", "n", 0, "end after so many events; 0: never")
	return c
}

var errEnough = fmt.Errorf("enough: %w", context.Canceled)

// shownEvent is an event in JSON output.
type shownEvent struct {
	Stream  string          `json:"stream"`
	EntryID string          `json:"entry_id"`
	Seq     int64           `json:"seq,omitempty"`
	Event   json.RawMessage `json:"event"`
}

func (a *app) printEvent(m consumer.Message) error {
	if a.json() {
		return a.print(shownEvent{m.Stream, m.EntryID, m.Seq, m.Raw})
	}
	seq := "-"
	if m.Seq > 0 {
		seq = fmt.Sprint(m.Seq)
	}
	_, err := fmt.Fprintf(a.out, "%s  %-22s %-39s %4s  %s\n", m.Event.Timestamp.Local().Format("15:04:05.000"), m.Event.Type,
		m.Event.WorkflowID, seq, clip(string(m.Event.Data), 120))
	return err
}
