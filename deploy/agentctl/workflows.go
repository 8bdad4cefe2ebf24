package main

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"agentbus/deploy/agentctl/coordinator"
)

func (a *app) workflowsCommand() *cobra.Command {
	c := family("workflows", "List, show, follow, cancel and repeat workflows",
		a.listCommand(), a.getCommand(), a.watchCommand(), a.cancelCommand(), a.runAgainCommand())
	c.Aliases = []string{"workflow", "wf"}
	return c
}

func (a *app) listCommand() *cobra.Command {
	var q coordinator.Query
	var all bool
	c := &cobra.Command{
		Use: "list", Short: "List workflows, newest first", Args: usage(cobra.NoArgs),
		Example: "  agentctl workflows list --state failed\n  agentctl workflows list --all -o json | jq .id",
		RunE: func(cmd *cobra.Command, _ []string) error {
			rows := [][]string{{"ID", "NAME", "STATE", "PERCENT", "STAGE", "CREATED", "REASON"}}
			for {
				list, next, err := a.coordinator().List(cmd.Context(), q)
				if err != nil {
					return err
				}
				for _, w := range list {
					if a.json() {
						if err := a.print(w); err != nil {
							return err
						}
					}
					rows = append(rows, []string{w.ID, w.Name, w.State, fmt.Sprint(w.Percent), w.Stage, clock(w.CreatedAt), clip(w.Reason, 60)})
				}
				if q.Cursor = next; next == "" || !all {
					break
				}
			}
			switch {
			case a.json():
				return nil
			case len(rows) == 1:
				fmt.Fprintln(a.err, "there are no such workflows")
				return nil
			}
			if err := table(a.out, rows...); err != nil || q.Cursor == "" {
				return err
			}
			fmt.Fprintln(a.err, "there are more: --all lists them, or --cursor", q.Cursor)
			return nil
		},
	}
	c.Flags().StringVar(&q.State, "state", "", "only running, completed, failed or cancelled ones")
	c.Flags().StringVar(&q.Name, "name", "", "only those of this name")
	c.Flags().IntVar(&q.Limit, "limit", 50, "workflows per page, 1 to 200")
	c.Flags().StringVar(&q.Cursor, "cursor", "", "go on where the page before ended")
	c.Flags().BoolVar(&all, "all", false, "all pages")
	return c
}

func (a *app) getCommand() *cobra.Command {
	return &cobra.Command{
		Use: "get ID", Short: "Show a workflow with its stages", Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := a.coordinator().Get(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json() {
				return a.print(w)
			}
			return summarize(a.out, w, time.Now())
		},
	}
}

func (a *app) cancelCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "cancel ID", Short: "Cancel a running workflow", Args: usage(cobra.ExactArgs(1)),
		Long: "Cancel a running workflow. What its stage started is stopped within a second.",
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := a.coordinator().Cancel(cmd.Context(), args[0], reason)
			if err != nil {
				return err
			}
			if a.json() {
				return a.print(w)
			}
			fmt.Fprintf(a.out, "%s (%s) is cancelled, at %s\n", w.ID, w.Name, w.Stage)
			return nil
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why; shown wherever the workflow is")
	return c
}

func (a *app) runAgainCommand() *cobra.Command {
	var key string
	var watch bool
	c := &cobra.Command{
		Use: "run-again ID", Short: "Create a workflow with the same request as another", Args: usage(cobra.ExactArgs(1)),
		Long: "Create a workflow with the same request as another, which stays as it is.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if key == "" {
				key = uuid.NewString()
			}
			w, replayed, err := a.coordinator().RunAgain(cmd.Context(), args[0], key)
			if err != nil {
				return err
			}
			return a.made(cmd.Context(), w, replayed, key, watch)
		},
	}
	makingFlags(c, &key, &watch)
	return c
}

func (a *app) watchCommand() *cobra.Command {
	return &cobra.Command{
		Use: "watch ID", Short: "Follow a workflow to its end", Args: usage(cobra.ExactArgs(1)),
		Long: "Follow a workflow to its end. Exits with 3 when it failed or was cancelled.",
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := a.coordinator().Get(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.watch(cmd.Context(), w)
		},
	}
}

// ended is nil for a workflow that completed.
func ended(w coordinator.Workflow) error {
	switch {
	case w.State == "completed":
		return nil
	case !w.Final():
		return fmt.Errorf("%s is still %s", w.ID, w.State)
	}
	// The summary has told the reason.
	return workflowError{fmt.Errorf("workflow %s %s at %s (%s)", w.ID, pastOf(w.State), w.Stage, w.Code)}
}

func pastOf(state string) string {
	if state == "cancelled" {
		return "was cancelled"
	}
	return state
}
