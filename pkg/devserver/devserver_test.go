package devserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// With this variable set the test binary is an owner: it starts servers in the folder named and waits
// to be killed.
const ownerDir = "DEVSERVER_TEST_OWNER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerDir); dir != "" {
		own(dir)
	}
	os.Exit(m.Run())
}

func own(dir string) {
	redis, err := StartRedis(context.Background(), RedisOptions{Dir: dir + "/redis"})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	postgres, err := StartPostgres(context.Background(), PostgresOptions{Dir: dir + "/postgres", Fast: true})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(redis.Port, postgres.Port)
	select {}
}

func startRedis(t *testing.T, o RedisOptions) *Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := StartRedis(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// redis sends one inline command and returns that many lines of the reply.
func redis(t *testing.T, s *Server, command string, lines int) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "redis://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "%s\r\n", command)
	reader := bufio.NewReader(conn)
	var reply []string
	for range lines {
		line, err := reader.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		reply = append(reply, strings.TrimSpace(line))
	}
	return strings.Join(reply, " ")
}

func TestRedisIsDurable(t *testing.T) {
	t.Parallel()
	s := startRedis(t, RedisOptions{Config: map[string]string{"appendfsync": "always", "maxclients": "77"}})
	for name, want := range map[string]string{"appendonly": "yes", "maxmemory-policy": "noeviction", "bind": "127.0.0.1", "maxclients": "77"} {
		if got := redis(t, s, "CONFIG GET "+name, 5); !strings.HasSuffix(got, " "+want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if got := redis(t, s, "SET k kept", 1); got != "+OK" {
		t.Fatal(got)
	}
	pid := s.PID()
	s.Kill()
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.PID() == pid {
		t.Error("the same process")
	}
	if got := redis(t, s, "GET k", 2); got != "$4 kept" {
		t.Errorf("after a kill: %q", got)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	<-s.Done()
	again, err := StartRedis(t.Context(), RedisOptions{Dir: s.Dir, Port: s.Port})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Kill()
	if got := redis(t, again, "GET k", 2); got != "$4 kept" {
		t.Errorf("after a new start: %q", got)
	}
}

func TestBadDirectiveIsReported(t *testing.T) {
	t.Parallel()
	_, err := StartRedis(t.Context(), RedisOptions{Dir: t.TempDir(), Config: map[string]string{"colour": "red"}})
	if err == nil || !strings.Contains(err.Error(), "colour") {
		t.Errorf("error %v does not have the server's reason", err)
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	t.Parallel()
	s := startRedis(t, RedisOptions{})
	_, err := StartRedis(t.Context(), RedisOptions{Dir: t.TempDir(), Port: s.Port})
	if want := fmt.Sprintf("port %d", s.Port); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "taken") {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestOneServerPerDirectory(t *testing.T) {
	t.Parallel()
	s := startRedis(t, RedisOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := StartRedis(ctx, RedisOptions{Dir: s.Dir})
	if err == nil || !strings.Contains(err.Error(), s.Dir) {
		t.Errorf("got %v, want an error that names %s", err, s.Dir)
	}
}

func TestServerOutlivesTheThreadOfItsCaller(t *testing.T) {
	t.Parallel()
	started := make(chan *Server)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		s, err := StartRedis(t.Context(), RedisOptions{Dir: t.TempDir()})
		if err != nil {
			t.Error(err)
		}
		started <- s
	}()
	s := <-started
	if s == nil {
		return
	}
	defer s.Kill()
	select {
	case <-s.Done():
		t.Fatal("the server died with its caller's thread")
	case <-time.After(200 * time.Millisecond): // the signal would come within microseconds
	}
	redis(t, s, "PING", 1)
}

func TestKilledOwnerLeavesNoServer(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Log("only Linux can do this, see the package comment")
		return
	}
	dir := t.TempDir()
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), ownerDir+"="+dir)
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := RemovePostgres(dir + "/postgres"); err != nil {
			t.Error(err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Error(err)
	}
	var ports [2]int
	if _, err := fmt.Sscan(line, &ports[0], &ports[1]); err != nil {
		t.Errorf("%q: %v", line, err)
	}
	if err := owner.Process.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	_ = owner.Wait() // killed
	for _, port := range ports {
		if err := poll(t.Context(), 20*time.Second, func() error { return tryPort(port) }); err != nil {
			t.Errorf("port %d: %v", port, err)
		}
	}
	for _, name := range []string{"redis", "postgres"} {
		lock, err := lockDir(t.Context(), filepath.Join(dir, name)) // held by the last process of the server
		if err != nil {
			t.Error(err)
			continue
		}
		_ = lock.Close()
	}
}

func TestPostgresIsDurable(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "deep", "postgres")
	t.Cleanup(func() {
		link, _ := filepath.EvalSymlinks(dir)
		if err := RemovePostgres(dir); err != nil {
			t.Error(err)
		}
		for _, path := range []string{dir, link} {
			if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is left: %v", path, err)
			}
		}
	})
	s, err := StartPostgres(t.Context(), PostgresOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	execute(t, s, "CREATE TABLE kept AS SELECT 42 AS n")

	s.Kill()
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := execute(t, s, "SELECT n FROM kept"); n != 42 {
		t.Errorf("after a kill: %d", n)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := StartPostgres(t.Context(), PostgresOptions{Dir: dir, Port: s.Port, Config: map[string]string{"work_mem": "7MB"}})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Kill()
	if n := execute(t, again, "SELECT n FROM kept WHERE current_setting('work_mem') = '7MB' AND current_setting('fsync') = 'on'"); n != 42 {
		t.Errorf("after a new start: %d", n)
	}
}

// execute runs a statement and returns its first column, 0 when it has none.
func execute(t *testing.T, s *Server, statement string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestClusterUnderAClosedFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("only root has the problem that this solves")
		return
	}
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	as, err := postgresUser()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(closed, "postgres")
	first, err := postgresDir(dir, as)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(first) }) // gone already when the test passes
	if first == dir || !reachable(first, as) {
		t.Fatalf("%s is not reachable for the user", first)
	}
	if target, err := os.Readlink(dir); err != nil || target != first {
		t.Errorf("the link leads to %q (%v), want %q", target, err, first)
	}
	second, err := postgresDir(dir, as)
	if err != nil || second != first {
		t.Errorf("found again at %q (%v), want %q", second, err, first)
	}

	full := filepath.Join(closed, "full")
	if err := os.MkdirAll(full+"/mine", 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(privateDir(full))
	if _, err := postgresDir(full, as); err == nil || !strings.Contains(err.Error(), full) {
		t.Errorf("a folder with content: %v", err)
	}

	if err := RemovePostgres(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(first); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left", first)
	}
}

func TestAnothersFolderIsRefused(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("only root can make a folder of another user")
		return
	}
	as, err := postgresUser()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "trap")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if err := ownDir(dir, as); err == nil {
		t.Error("another user's folder was taken")
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/etc", link); err != nil {
		t.Fatal(err)
	}
	if err := ownDir(link, as); err == nil {
		t.Error("a link was followed")
	}
}

func TestMissingProgramsSayHowToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := findRedis(nil)
	if err == nil || !strings.Contains(err.Error(), "apt-get install redis-server") || !strings.Contains(err.Error(), "REDIS_URL") {
		t.Errorf("Redis: %v", err)
	}
	_, err = findPostgres(nil)
	if err == nil || !strings.Contains(err.Error(), "apt-get install postgresql") || !strings.Contains(err.Error(), "DATABASE_URL") {
		t.Errorf("PostgreSQL: %v", err)
	}
	if _, err = findPostgres(postgresPlaces()); err != nil {
		t.Errorf("not found outside PATH: %v", err)
	}
}

func TestNewRedisHasWaitAOF(t *testing.T) {
	t.Parallel()
	s := startRedis(t, RedisOptions{New: true, Env: []string{"TZ=UTC"}})
	if got := redis(t, s, "WAITAOF 1 0 1000", 1); got != "*2" {
		t.Errorf("WAITAOF: %q", got)
	}
}

func TestNewRedisIsFoundByItsVersion(t *testing.T) {
	for _, c := range []struct{ inPath, cached, want, says string }{
		{"7.2.4", "", "path", ""},
		{"8.0.2", "8.0.2", "path", ""},
		{"7.0.15", "8.0.2", "cache", ""},
		{"", "7.4.1", "cache", ""},
		{"7.0.15", "", "", "is 7.0"},
		{"6.2.9", "7.1.0", "", "is 6.2"},
		{"", "", "", "was not found"},
	} {
		path, cache := t.TempDir(), t.TempDir()
		t.Setenv("PATH", path)
		t.Setenv("XDG_CACHE_HOME", cache)
		places := map[string]string{"path": filepath.Join(path, "redis-server"), "cache": filepath.Join(cache, "agentbus/redis-8/redis-server")}
		for place, version := range map[string]string{"path": c.inPath, "cache": c.cached} {
			if version == "" {
				continue
			}
			if err := os.MkdirAll(filepath.Dir(places[place]), 0o755); err != nil {
				t.Fatal(err)
			}
			script := "#!/bin/sh\necho 'Redis server v=" + version + " sha=00000000:0 malloc=libc'\n"
			if err := os.WriteFile(places[place], []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		got, err := findNewRedis(nil)
		if got != places[c.want] {
			t.Errorf("%+v: %q (%v)", c, got, err)
		}
		if c.want == "" && (err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "install-deps.sh --for-tests")) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestPostgresVersionsAreCompared(t *testing.T) {
	root := t.TempDir()
	t.Setenv("PATH", root)
	for _, version := range []string{"9", "15", "16"} {
		bin := filepath.Join(root, version, "bin")
		if err := os.MkdirAll(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + ".1 (Debian)'\n"
		for _, name := range []string{"postgres", "initdb"} {
			if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	dir, err := findPostgres([]string{root + "/*/bin"})
	if want := filepath.Join(root, "16", "bin"); err != nil || dir != want {
		t.Errorf("found %q (%v), want %q", dir, err, want)
	}
	_, err = findPostgres([]string{root + "/9/bin"})
	if err == nil || !strings.Contains(err.Error(), "version 9") {
		t.Errorf("a version that is too old: %v", err)
	}
}
