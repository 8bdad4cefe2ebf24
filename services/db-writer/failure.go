package main

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// failure is what an error of the database says about who is to blame.
type failure string

const (
	// failData: a value PostgreSQL does not take. The row is to blame.
	failData failure = "data"
	// failSchema: a table, column or right is missing. The deployment is to blame; every row would fail
	// the same way, so none is given up.
	failSchema failure = "schema"
	// failConflict: two transactions were in each other's way. Nobody is to blame; do it again.
	failConflict failure = "conflict"
	// failServer: the server cannot be reached or does not accept writes now.
	failServer failure = "server"
)

// classify sorts an error by its SQLSTATE. What it does not know is the server's fault: an event given
// up by mistake is lost to the record, one that waits by mistake is not.
func classify(err error) failure {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) != 5 {
		return failServer // no answer from the server, or a context that ended
	}
	switch pg.Code[:2] {
	case "22", "23", "54": // data exception, integrity constraint, program limit (a value too large)
		return failData
	case "42", "3F", "0A": // syntax error or access rule, invalid schema name, feature not supported
		return failSchema
	case "40": // transaction rollback: serialization failure, deadlock
		return failConflict
	}
	return failServer
}
