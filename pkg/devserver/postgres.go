package devserver

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// database is created in every cluster; DATABASE_URL names it.
const database = "agentbus"

// PostgresOptions configures StartPostgres.
type PostgresOptions struct {
	Dir    string            // the cluster and its lock; created where missing; required
	Port   int               // 0: a free one
	Config map[string]string // postgresql.conf settings, over the package's own
	Fast   bool              // no fsync: for tests that do not ask what survives a crash of the machine
	Log    io.Writer         // the server's output; nil: dropped
}

// StartPostgres starts a PostgreSQL with an empty database "agentbus", or with what an earlier start on
// the same Dir left. It returns when the database takes connections. ctx bounds the start only.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Server, error) {
	bin, err := findPostgres(postgresPlaces())
	if err != nil {
		return nil, err
	}
	as, err := postgresUser()
	if err != nil {
		return nil, err
	}
	dir, err := postgresDir(o.Dir, as)
	if err != nil {
		return nil, fmt.Errorf("directory for PostgreSQL: %w", err)
	}
	return onPort(o.Port, func(port int) (*Server, error) {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		start := func(ctx context.Context) (*process, error) {
			lock, err := lockDir(ctx, dir)
			if err != nil {
				return nil, err
			}
			data, err := initCluster(ctx, bin, dir, as, o.Fast)
			if err != nil {
				return nil, closeAfter(lock, err)
			}
			// Deliberately not CommandContext: ctx bounds the start, not the life.
			cmd := exec.Command(filepath.Join(bin, "postgres"), postgresArgs(data, port, o)...)
			cmd.Dir = dir
			// SIGQUIT: PostgreSQL's immediate shutdown; with fsync the next start recovers.
			proc, err := spawn(cmd, as, lock, syscall.SIGQUIT, o.Log)
			if err != nil {
				return nil, err
			}
			return proc, proc.ready(ctx, func(ctx context.Context) error { return ensureDatabase(ctx, addr) })
		}
		// SIGINT: PostgreSQL's fast shutdown, which does not wait for clients to leave.
		return newServer(ctx, &Server{URL: postgresURL(addr, database), Dir: dir, Port: port, stopSignal: syscall.SIGINT, start: start})
	})
}

func postgresURL(addr, database string) string {
	return "postgres://postgres@" + addr + "/" + database + "?sslmode=disable"
}

func postgresArgs(data string, port int, o PostgresOptions) []string {
	args := []string{
		"-D", data,
		"-c", "listen_addresses=127.0.0.1",
		"-c", "port=" + strconv.Itoa(port),
		"-c", "unix_socket_directories=",
		"-c", "max_connections=200", // nine services, twice, with their pools
	}
	if o.Fast {
		args = append(args, "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "autovacuum=off")
	}
	for name, value := range o.Config {
		args = append(args, "-c", name+"="+value)
	}
	return args
}

// initCluster creates the cluster once per directory and returns its path. It is made under another
// name and renamed, so that an interrupted initdb leaves nothing that looks like a cluster.
func initCluster(ctx context.Context, bin, dir string, as *syscall.Credential, fast bool) (string, error) {
	data, unfinished := filepath.Join(dir, "data"), filepath.Join(dir, "data.unfinished")
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		return data, nil
	}
	if err := os.RemoveAll(unfinished); err != nil {
		return "", err
	}
	args := []string{"-D", unfinished, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"}
	if fast {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb in %s: %w: %s", unfinished, err, out)
	}
	return data, os.Rename(unfinished, data)
}

// ensureDatabase succeeds when the server takes connections and the database exists.
func ensureDatabase(ctx context.Context, addr string) error {
	conn, err := pgx.Connect(ctx, postgresURL(addr, "postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", database).Scan(&exists); err != nil {
		return err
	}
	if !exists {
		_, err = conn.Exec(ctx, "CREATE DATABASE "+database)
	}
	return err
}
