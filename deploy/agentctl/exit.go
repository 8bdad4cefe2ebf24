package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"agentbus/deploy/agentctl/coordinator"
)

// Exit codes; --help lists them.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2
	exitWorkflow = 3
	exitToken    = 4
)

// usageError is a mistake in the command line.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// workflowError is a workflow that was followed to an end that is not success.
type workflowError struct{ error }

// usage makes a mistake in the number of arguments a usage error.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w\nusage: %s", err, cmd.UseLine())}
		}
		return nil
	}
}

// verdict words an error for the person at the terminal and chooses the exit code.
func verdict(err error) (text string, code int) {
	var use usageError
	var ended workflowError
	var problem *coordinator.Problem
	switch {
	case err == nil:
		return "", exitOK
	case errors.As(err, &use):
		return err.Error(), exitUsage
	case errors.As(err, &ended):
		return err.Error(), exitWorkflow
	case strings.HasPrefix(err.Error(), "unknown command"): // cobra's own, which has no type
		return err.Error(), exitUsage
	case errors.Is(err, coordinator.ErrUnreachable):
		return err.Error() + "; start one with `make up`, or say where it is with --coordinator", exitFailed
	case errors.As(err, &problem) && problem.Status == http.StatusUnauthorized:
		return err.Error() + "; the token is taken from " + tokenVariable + " or the file of --token-file", exitToken
	}
	return err.Error(), exitFailed
}
