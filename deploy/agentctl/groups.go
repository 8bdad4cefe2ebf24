package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) groupsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "groups", Short: "Show how far each consumer group is", Args: usage(cobra.NoArgs),
		Long: `Show how far each consumer group is.

  MEMBERS  processes that read for the group
  LAG      events that were not delivered to it yet
  PENDING  delivered, not acknowledged
  OLDEST   age of the oldest event that is not acknowledged
  DEAD     dead letters that wait for a decision, see agentctl dlq`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := a.openBus(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = b.Close() }()
			groups, err := b.Groups(cmd.Context())
			if err != nil {
				return err
			}
			rows := [][]string{{"GROUP", "MEMBERS", "LAG", "PENDING", "OLDEST", "DEAD"}}
			for _, g := range groups {
				if a.json() {
					if err := a.print(shownGroup{g.Group, g.Members, g.Lag, g.Pending, g.OldestAge.Seconds(), g.DeadLetters}); err != nil {
						return err
					}
				}
				rows = append(rows, []string{g.Group, fmt.Sprint(g.Members), fmt.Sprint(g.Lag), fmt.Sprint(g.Pending), age(g.OldestAge), fmt.Sprint(g.DeadLetters)})
			}
			switch {
			case a.json():
				return nil
			case len(groups) == 0:
				fmt.Fprintln(a.err, "no group was ever registered in this Redis")
				return nil
			}
			return table(a.out, rows...)
		},
	}
}

// shownGroup is a group in JSON output; ages in seconds, as everywhere outside of Go.
type shownGroup struct {
	Group       string  `json:"group"`
	Members     int     `json:"members"`
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
