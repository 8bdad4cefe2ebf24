package main

import (
	"fmt"
	"time"

	"agentbus/pkg/events/bus/inspect"

	"github.com/spf13/cobra"
)

func (a *app) groupsCommand() *cobra.Command {
	var atOnce bool
	c := &cobra.Command{
		Use: "groups", Short: "Show how far each consumer group is, or remove one", Args: usage(cobra.NoArgs),
		Long: `Show how far each consumer group is.

  MEMBERS  processes that read for the group and live
  SUSPECT  processes that gave no sign of life for 7 s: they died or hang
  LAG      events that were not delivered to it yet
  PENDING  delivered, not acknowledged
  OLDEST   age of the oldest event that is not acknowledged
  DEAD     dead letters that wait for a decision, see agentctl dlq

A living process gives a sign every 3 s, so that is how long the answer takes; 7 s
where one does not. With --at-once all count as members that have not taken leave.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := a.openBus(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = b.Close() }()
			operator := inspect.New(b)
			look := operator.Survey
			if atOnce {
				look = operator.Groups
			}
			groups, err := look(cmd.Context())
			if err != nil {
				return err
			}
			return a.printGroups(groups)
		},
	}
	c.Flags().BoolVar(&atOnce, "at-once", false, "do not wait for signs of life")
	c.AddCommand(a.removeGroupCommand())
	return c
}

func (a *app) printGroups(groups []inspect.GroupStatus) error {
	rows := [][]string{{"GROUP", "MEMBERS", "SUSPECT", "LAG", "PENDING", "OLDEST", "DEAD"}}
	for _, g := range groups {
		if a.json() {
			if err := a.print(shownGroup{g.Group, g.Members, g.Suspect, g.Lag, g.Pending, g.OldestAge.Seconds(), g.DeadLetters}); err != nil {
				return err
			}
		}
		rows = append(rows, []string{g.Group, fmt.Sprint(g.Members), fmt.Sprint(g.Suspect), fmt.Sprint(g.Lag), fmt.Sprint(g.Pending), age(g.OldestAge), fmt.Sprint(g.DeadLetters)})
	}
	switch {
	case a.json():
		return nil
	case len(groups) == 0:
		fmt.Fprintln(a.err, "no group was ever registered in this Redis")
		return nil
	}
	return table(a.out, rows...)
}

// shownGroup is a group in JSON output; ages in seconds, as everywhere outside of Go.
type shownGroup struct {
	Group       string  `json:"group"`
	Members     int     `json:"members"`
	Suspect     int     `json:"suspect"`
	Lag         int64   `json:"lag"`
	Pending     int64   `json:"pending"`
	OldestAge   float64 `json:"oldest_age_seconds"`
	DeadLetters int64   `json:"dead_letters"`
}

func age(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return took(d)
}
