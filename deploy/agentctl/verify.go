package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"agentbus/deploy/agentctl/audit"
	"agentbus/deploy/localstack"
	"agentbus/pkg/events/bus"
)

// defaultDatabase is where db-writer looks when nobody says otherwise.
const defaultDatabase = "postgres://agentbus@127.0.0.1:5432/agentbus?sslmode=disable"

// verifyFlags say what is verified and how long unfinished work is waited for.
type verifyFlags struct {
	since, until, database string
	all                    bool
	limit                  int
	wait                   time.Duration
}

func (a *app) verifyCommand() *cobra.Command {
	var f verifyFlags
	c := &cobra.Command{
		Use: "verify [WORKFLOW]", Short: "Hold what was published against what became of it", Args: usage(cobra.MaximumNArgs(1)),
		Long: `Hold what was published against what became of it in every group: of one
workflow, of a time range, or of all that Redis still keeps. It only reads and may
run while events flow.

  PUBLISHED  events in the streams that the group wants, each id once, and
             entries that are no events (they are owed a dead letter)
  HANDLED    db_writers: a row with the event's id is in workflow_updates;
             the others: acknowledged, what they did cannot be asked for
  DEAD       in the group's dead letters, see agentctl dlq
  WAITING    not delivered yet, in somebody's hands, or being replayed
  MISSING    none of these: acknowledged without a row, or in somebody's hands
             with its content gone from Redis. A dead letter that was dropped on
             purpose counts as missing too.

Redis keeps events for BUS_RETENTION (1h) after every group has acknowledged them:
older ones cannot be verified. Times are those of Redis, of the entries.

Exit code 1 when anything is missing; what waits is no failure, --wait gives it time.`,
		Example: `  agentctl verify wf-3f2a
  agentctl verify --since 15m --wait 30s
  agentctl verify --since 2026-01-02T15:00:00Z --until 2026-01-02T16:00:00Z -o json
  agentctl verify --all --database postgres://agentbus@db/agentbus`,
		RunE: func(cmd *cobra.Command, args []string) error {
			scope, err := f.scope(strings.Join(args, ""), time.Now())
			if err != nil {
				return err
			}
			return a.verify(cmd.Context(), scope, f)
		},
	}
	c.Flags().StringVar(&f.since, "since", "", "only what was published from then on: a time (2026-01-02T15:04:05Z) or how long ago (90m)")
	c.Flags().StringVar(&f.until, "until", "", "only what was published before then")
	c.Flags().BoolVar(&f.all, "all", false, "everything that Redis keeps")
	c.Flags().IntVar(&f.limit, "limit", 20, "name at most so many missing events per group; 0: every one")
	c.Flags().DurationVar(&f.wait, "wait", 0, "wait up to so long until nothing is waiting")
	c.Flags().StringVar(&f.database, "database", "", "URL of PostgreSQL (default: DATABASE_URL, the running stack's, else "+defaultDatabase+")")
	return c
}

// scope is what arguments and flags say.
func (f *verifyFlags) scope(workflow string, now time.Time) (audit.Scope, error) {
	s := audit.Scope{Workflow: workflow}
	switch {
	case workflow == "" && f.since == "" && f.until == "" && !f.all:
		return s, usagef("say what to verify: a workflow's id, --since, --until or --all")
	case f.all && (workflow != "" || f.since != "" || f.until != ""):
		return s, usagef("--all means everything: leave the workflow, --since and --until out")
	case f.limit < 0:
		return s, usagef("--limit %d: must be 0 (no limit) or more", f.limit)
	case f.wait < 0:
		return s, usagef("--wait %s: must not be negative", f.wait)
	}
	times := letterFlags{since: f.since, until: f.until}
	chosen, err := times.filter(nil, now)
	if err != nil {
		return s, err
	}
	s.Since, s.Until = chosen.Since, chosen.Until
	if !s.Since.IsZero() && !s.Until.IsZero() && !s.Since.Before(s.Until) {
		return s, usagef("--since %s is not before --until %s: nothing lies between them", f.since, f.until)
	}
	return s, nil
}

func (a *app) verify(ctx context.Context, scope audit.Scope, f verifyFlags) error {
	b, err := a.openBus(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	database := a.place(f.database, "DATABASE_URL", func(c localstack.Connection) string { return c.DatabaseURL }, defaultDatabase)
	accounts, err := settled(ctx, b, database, scope, f.wait)
	if err != nil {
		return err
	}
	if len(accounts) == 0 {
		return errors.New("no group was ever registered in this Redis: there is nobody to hold to account")
	}
	if err := a.printAccounts(accounts, f.limit); err != nil {
		return err
	}
	if scope.Workflow != "" && nothing(accounts) {
		return fmt.Errorf("there is no event of workflow %s in Redis: it never was, or all of it is older than BUS_RETENTION", scope.Workflow)
	}
	return missing(accounts)
}

// settled takes the accounts, again and again while something waits and there is
// time.
func settled(ctx context.Context, b *bus.Bus, database string, scope audit.Scope, patience time.Duration) ([]audit.Account, error) {
	for end := time.Now().Add(patience); ; {
		accounts, err := audit.Take(ctx, b, database, scope)
		waiting := 0
		for _, acc := range accounts {
			waiting += acc.Waiting
		}
		if err != nil || waiting == 0 || time.Now().After(end) {
			return accounts, err
		}
		select {
		case <-ctx.Done():
			return accounts, context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func nothing(accounts []audit.Account) bool {
	for _, acc := range accounts {
		if acc.Published > 0 {
			return false
		}
	}
	return true
}

// missing is the verdict in one line.
func missing(accounts []audit.Account) error {
	var groups []string
	for _, acc := range accounts {
		if acc.Missing > 0 {
			groups = append(groups, fmt.Sprintf("%s in %s", count(acc.Missing, "event is missing", "events are missing"), acc.Group))
		}
	}
	if len(groups) == 0 {
		return nil
	}
	return errors.New(strings.Join(groups, ", "))
}

func (a *app) printAccounts(accounts []audit.Account, limit int) error {
	rows := [][]string{{"GROUP", "PUBLISHED", "HANDLED", "BY", "DEAD", "WAITING", "MISSING"}}
	lost := [][]string{{"MISSING IN", "EVENT", "TYPE", "WORKFLOW", "STREAM", "ENTRY"}}
	for _, acc := range accounts {
		shown := acc.MissingOnes
		if limit > 0 {
			shown = shown[:min(limit, len(shown))]
		}
		if a.json() {
			acc.MissingOnes = shown
			if err := a.print(acc); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{acc.Group, fmt.Sprint(acc.Published), fmt.Sprint(acc.Handled), acc.By,
			fmt.Sprint(acc.DeadLettered), fmt.Sprint(acc.Waiting), fmt.Sprint(acc.Missing)})
		for _, e := range shown {
			lost = append(lost, []string{acc.Group, orDash(e.ID), orDash(string(e.Type)), orDash(e.WorkflowID), e.Stream, e.EntryID})
		}
		if more := acc.Missing - len(shown); more > 0 {
			lost = append(lost, []string{acc.Group, fmt.Sprintf("and %d more; --limit 0 names all", more)})
		}
	}
	if a.json() {
		return nil
	}
	if err := table(a.out, rows...); err != nil || len(lost) == 1 {
		return err
	}
	fmt.Fprintln(a.out)
	return table(a.out, lost...)
}
