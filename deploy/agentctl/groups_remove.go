package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"agentbus/pkg/events/bus/inspect"

	"github.com/spf13/cobra"
)

func (a *app) removeGroupCommand() *cobra.Command {
	var withLetters, dryRun, yes bool
	c := &cobra.Command{
		Use: "remove GROUP", Short: "Remove a consumer group that nobody reads for any more", Args: usage(cobra.ExactArgs(1)),
		Long: `Remove a consumer group that nobody reads for any more.

As long as Redis knows a group, events are kept for it, up to the hard cap
BUS_MAX_ENTRIES. Removing it gives up its place on every stream, what is pending,
its replays and its members' leases; the events themselves go once the other groups
have handled them. A process that reads for the group again starts at the oldest
event that is kept.

It is refused while a member lives, which takes up to 15 s to find out, and while
there are dead letters: replay or drop those first, or delete them too with
--with-dead-letters. Should it fail half-way, do it again.`,
		Example: `  agentctl groups remove audit_trail --dry-run
  agentctl groups remove audit_trail --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			group := args[0]
			b, err := a.openBus(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = b.Close() }()
			held, err := inspect.New(b).Describe(cmd.Context(), group)
			if err != nil {
				return err
			}
			if dryRun {
				if !a.json() {
					fmt.Fprintln(a.err, "this would be removed; nothing was changed")
				}
				return a.printHoldings(held)
			}
			if held.DeadLetters > 0 && !withLetters {
				return fmt.Errorf("%s has %s; see agentctl dlq list %s, then replay or drop them, or delete them with --with-dead-letters",
					group, count(int(held.DeadLetters), "dead letter", "dead letters"), group)
			}
			if !yes {
				if err := a.confirm(held); err != nil {
					return err
				}
			}
			if len(held.Members) > 0 && !a.json() {
				fmt.Fprintf(a.err, "watching for 15 s that none of its members lives: %s\n", strings.Join(held.Members, ", "))
			}
			if err := inspect.New(b).RemoveGroup(cmd.Context(), group, withLetters); err != nil {
				return err
			}
			if a.json() {
				return a.print(map[string]string{"group": group, "done": "removed"})
			}
			_, err = fmt.Fprintf(a.out, "removed %s from %s\n", group, count(len(held.Streams), "stream", "streams"))
			return err
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only show what would be removed")
	c.Flags().BoolVar(&withLetters, "with-dead-letters", false, "delete the group's dead letters too, for good")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

// confirm asks the person at the terminal.
func (a *app) confirm(held inspect.GroupDescription) error {
	if !terminal(a.in) {
		return usagef("say --yes to remove %s without being asked; --dry-run shows what would go", held.Group)
	}
	if err := a.printHoldings(held); err != nil {
		return err
	}
	fmt.Fprintf(a.err, "remove %s? [y/N] ", held.Group)
	answer, _ := bufio.NewReader(a.in).ReadString('\n') // its end is a no
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

// printHoldings shows where a group stands: each stream where something waits, and
// the sum.
func (a *app) printHoldings(held inspect.GroupDescription) error {
	if a.json() {
		return a.print(held)
	}
	rows := [][]string{{"STREAM", "LAG", "PENDING"}}
	var lag, pending int64
	for _, s := range held.Streams {
		lag, pending = lag+s.Lag, pending+s.Pending
		if s.Lag+s.Pending > 0 {
			rows = append(rows, []string{s.Stream, fmt.Sprint(s.Lag), fmt.Sprint(s.Pending)})
		}
	}
	rows = append(rows, []string{"all " + count(len(held.Streams), "stream", "streams"), fmt.Sprint(lag), fmt.Sprint(pending)})
	if err := table(a.out, rows...); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "\n%s%s\n", count(int(held.DeadLetters), "dead letter", "dead letters"), membersOf(held))
	return err
}

func membersOf(held inspect.GroupDescription) string {
	if len(held.Members) == 0 {
		return ", no members"
	}
	return ", members living or dead: " + strings.Join(held.Members, ", ")
}
