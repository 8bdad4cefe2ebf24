package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/inspect"
)

func (a *app) dlqCommand() *cobra.Command {
	c := family("dlq", "List, show, replay and drop dead letters",
		a.lettersCommand(), a.letterCommand(), a.replayCommand(), a.dropCommand())
	c.Long = `List, show, replay and drop dead letters: events that a group could not handle,
kept with the reason. Replaying one gives it back to that group alone.`
	return c
}

// letterFlags choose dead letters.
type letterFlags struct {
	class, workflow, since, until string
	all, dryRun                   bool
	rate                          float64
}

func (f *letterFlags) choose(c *cobra.Command) {
	c.Flags().StringVar(&f.class, "class", "", "only of this class: malformed, permanent, panic, timeout, crash or error")
	c.Flags().StringVar(&f.workflow, "workflow", "", "only of this workflow")
	c.Flags().StringVar(&f.since, "since", "", "only those that died after this: a time (2026-01-02T15:04:05Z) or how long ago (90m)")
	c.Flags().StringVar(&f.until, "until", "", "only those that died before this")
}

func (f *letterFlags) act(c *cobra.Command) {
	f.choose(c)
	c.Flags().BoolVar(&f.all, "all", false, "every dead letter of the group")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "only list what would be chosen")
	c.Flags().Float64Var(&f.rate, "rate", 0, "at most so many per second; 0: as fast as it goes")
}

// filter is what the flags and ids say.
func (f *letterFlags) filter(ids []string, now time.Time) (inspect.DeadLetterFilter, error) {
	out := inspect.DeadLetterFilter{IDs: ids, Class: f.class, WorkflowID: f.workflow, Limit: 1 << 30}
	for text, into := range map[*string]*time.Time{&f.since: &out.Since, &f.until: &out.Until} {
		if *text == "" {
			continue
		}
		if ago, err := time.ParseDuration(*text); err == nil {
			*into = now.Add(-ago)
		} else if *into, err = time.Parse(time.RFC3339, *text); err != nil {
			return out, usagef("%q is neither a time such as 2026-01-02T15:04:05Z nor a duration such as 90m", *text)
		}
	}
	return out, nil
}

// none reports whether nothing was chosen at all.
func (f *letterFlags) none(ids []string) bool {
	return len(ids) == 0 && f.class == "" && f.workflow == "" && f.since == "" && f.until == "" && !f.all
}

// withGroup opens the bus and checks that the group exists: a misspelt one has no dead letters either.
func (a *app) withGroup(ctx context.Context, group string, do func(*bus.Bus) error) error {
	b, err := a.openBus(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	groups, err := inspect.New(b).Groups(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, g := range groups {
		names = append(names, g.Group)
	}
	if group != "" && !slices.Contains(names, group) {
		return fmt.Errorf("there is no group %q; there are: %s", group, strings.Join(names, ", "))
	}
	return do(b)
}

func (a *app) lettersCommand() *cobra.Command {
	var f letterFlags
	c := &cobra.Command{
		Use: "list [GROUP]", Short: "List the dead letters of a group, or of all", Args: usage(cobra.MaximumNArgs(1)),
		Example: "  agentctl dlq list db_writers --class malformed --since 24h",
		RunE: func(cmd *cobra.Command, args []string) error {
			filter, err := f.filter(nil, time.Now())
			if err != nil {
				return err
			}
			group := strings.Join(args, "")
			return a.withGroup(cmd.Context(), group, func(b *bus.Bus) error {
				names := []string{group}
				if group == "" {
					groups, err := inspect.New(b).Groups(cmd.Context())
					if err != nil {
						return err
					}
					names = nil
					for _, g := range groups {
						names = append(names, g.Group)
					}
				}
				var all []inspect.DeadLetter
				for _, name := range names {
					letters, err := inspect.New(b).DeadLetters(cmd.Context(), name, filter)
					if err != nil {
						return err
					}
					all = append(all, letters...)
				}
				return a.printLetters(all)
			})
		},
	}
	f.choose(c)
	return c
}

func (a *app) letterCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show GROUP ID", Short: "Show a dead letter with the event as it came", Args: usage(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withGroup(cmd.Context(), args[0], func(b *bus.Bus) error {
				letters, err := inspect.New(b).DeadLetters(cmd.Context(), args[0], inspect.DeadLetterFilter{IDs: args[1:], Limit: 1})
				if err != nil {
					return err
				}
				if len(letters) == 0 {
					return noLetter(args[0], args[1])
				}
				if a.json() {
					return a.print(shownLetterOf(letters[0]))
				}
				return a.printLetter(letters[0])
			})
		},
	}
}

func noLetter(group, id string) error {
	return fmt.Errorf("there is no dead letter %s in %s; agentctl dlq list %s shows those there are", id, group, group)
}

func (a *app) replayCommand() *cobra.Command {
	return a.actCommand("replay", "Give dead letters back to their group",
		`  agentctl dlq replay db_writers 0/1700000000000-0
  agentctl dlq replay db_writers --class error --since 1h --rate 100 --dry-run`,
		func(ctx context.Context, b *bus.Bus, group, id string) error {
			return inspect.New(b).Replay(ctx, group, id, "agentctl "+envOr("USER", "unknown"))
		})
}

func (a *app) dropCommand() *cobra.Command {
	return a.actCommand("drop", "Delete dead letters for good",
		"  agentctl dlq drop db_writers --class malformed --until 168h", func(ctx context.Context, b *bus.Bus, group, id string) error {
			return inspect.New(b).Drop(ctx, group, id)
		})
}

// actCommand does something with each of the chosen dead letters.
func (a *app) actCommand(verb, short, example string, do func(ctx context.Context, b *bus.Bus, group, id string) error) *cobra.Command {
	var f letterFlags
	c := &cobra.Command{
		Use: verb + " GROUP [ID...]", Short: short, Args: usage(cobra.MinimumNArgs(1)), Example: example,
		Long: short + ": those whose ids are given, those that the flags choose, or all.",
		RunE: func(cmd *cobra.Command, args []string) error {
			group, ids := args[0], args[1:]
			if f.none(ids) {
				return usagef("say which dead letters: ids, --class, --workflow, --since, --until or --all")
			}
			if f.rate < 0 {
				return usagef("--rate %v: must be 0 (no limit) or more", f.rate)
			}
			filter, err := f.filter(ids, time.Now())
			if err != nil {
				return err
			}
			return a.withGroup(cmd.Context(), group, func(b *bus.Bus) error {
				letters, err := inspect.New(b).DeadLetters(cmd.Context(), group, filter)
				if err != nil {
					return err
				}
				for _, id := range ids {
					if !slices.ContainsFunc(letters, func(l inspect.DeadLetter) bool { return l.ID == id }) {
						return noLetter(group, id)
					}
				}
				if f.dryRun {
					if !a.json() {
						fmt.Fprintf(a.err, "%s would be chosen; nothing was changed\n", count(len(letters), "dead letter", "dead letters"))
					}
					return a.printLetters(letters)
				}
				return a.act(cmd.Context(), verb, letters, f.rate, func(id string) error { return do(cmd.Context(), b, group, id) })
			})
		},
	}
	f.act(c)
	return c
}

// act goes through the letters at the rate. One that is gone was dealt with by somebody else.
func (a *app) act(ctx context.Context, verb string, letters []inspect.DeadLetter, rate float64, do func(id string) error) error {
	past := map[string]string{"replay": "replayed", "drop": "dropped"}[verb]
	done := 0
	report := func() {
		if !a.json() {
			fmt.Fprintf(a.out, "%s %s\n", past, count(done, "dead letter", "dead letters"))
		}
	}
	var pace <-chan time.Time
	if rate > 0 {
		ticker := time.NewTicker(max(time.Duration(float64(time.Second)/rate), 1))
		defer ticker.Stop()
		pace = ticker.C
	}
	for i, l := range letters {
		if pace != nil && i > 0 {
			select {
			case <-ctx.Done():
			case <-pace:
			}
		}
		err := ctx.Err()
		if err == nil {
			err = do(l.ID)
		}
		switch {
		case errors.Is(err, inspect.ErrNotFound):
			continue
		case err != nil:
			report()
			return err
		}
		done++
		if a.json() {
			if err := a.print(map[string]string{"group": l.Group, "id": l.ID, "done": past}); err != nil {
				return err
			}
		}
	}
	report()
	return nil
}

// shownLetter is a dead letter in JSON output: its data as JSON where it is some, else as text.
type shownLetter struct {
	inspect.DeadLetter
	Data any `json:"data"`
}

func shownLetterOf(l inspect.DeadLetter) shownLetter {
	switch {
	case json.Valid(l.Data):
		return shownLetter{l, json.RawMessage(l.Data)}
	case utf8.Valid(l.Data):
		return shownLetter{l, string(l.Data)}
	}
	return shownLetter{l, l.Data} // base64
}

func (a *app) printLetters(letters []inspect.DeadLetter) error {
	rows := [][]string{{"ID", "GROUP", "CLASS", "TYPE", "WORKFLOW", "TRIES", "DIED", "ERROR"}}
	for _, l := range letters {
		if a.json() {
			if err := a.print(shownLetterOf(l)); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{l.ID, l.Group, l.Class, orDash(string(l.Type)), orDash(l.WorkflowID), fmt.Sprint(l.Attempts), clock(l.DiedAt), clip(l.Error, 80)})
	}
	switch {
	case a.json():
		return nil
	case len(letters) == 0:
		fmt.Fprintln(a.err, "there are no such dead letters")
		return nil
	}
	return table(a.out, rows...)
}

func (a *app) printLetter(l inspect.DeadLetter) error {
	seq := "-"
	if l.Seq > 0 {
		seq = fmt.Sprint(l.Seq)
	}
	err := table(a.out,
		[]string{"id", l.ID}, []string{"group", l.Group}, []string{"class", l.Class}, []string{"error", l.Error},
		[]string{"tries", fmt.Sprint(l.Attempts)}, []string{"died", clock(l.DiedAt)}, []string{"member", l.Member},
		[]string{"stood in", l.Stream + " at " + l.EntryID}, []string{"seq", seq},
		[]string{"event", orDash(l.EventID)}, []string{"type", orDash(string(l.Type))}, []string{"workflow", orDash(l.WorkflowID)})
	if err != nil {
		return err
	}
	text := strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return printable(r)
	}, string(l.Data))
	if json.Valid(l.Data) {
		if indented, err := json.MarshalIndent(json.RawMessage(l.Data), "", "  "); err == nil {
			text = string(indented)
		}
	}
	_, err = fmt.Fprintf(a.out, "\n%s\n", text)
	return err
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
