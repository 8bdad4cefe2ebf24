package servertest

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

var databases atomic.Uint64

// Postgres returns the URL of a new, empty database on the server that all tests of the process share.
// It is dropped at the test's end, with connections that are still open.
func Postgres(tb testing.TB) string {
	tb.Helper()
	s, err := shared.postgresServer(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	name := fmt.Sprintf("test_%d", databases.Add(1))
	// template0 has no connections, ever, so tests can create databases at the same time.
	if err := execute(tb.Context(), s.URL, "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := execute(ctx, s.URL, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
	})
	u, err := url.Parse(s.URL)
	if err != nil {
		tb.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func execute(ctx context.Context, databaseURL, statement string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, statement); err != nil {
		verb, _, _ := strings.Cut(statement, " TEMPLATE")
		return fmt.Errorf("%s: %w", verb, err)
	}
	return nil
}
