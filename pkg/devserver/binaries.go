package devserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// minPostgres is the oldest major version that design and migrations are made for.
const minPostgres = 14

// Where systems put the programs besides PATH, which for a user's shell often lacks the servers.
func redisPlaces() []string {
	return []string{"/usr/bin/redis-server", "/usr/local/bin/redis-server", "/opt/homebrew/bin/redis-server"}
}

func postgresPlaces() []string {
	return []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin"}
}

// findRedis returns the path of redis-server: the one in PATH, else in one of the places.
func findRedis(places []string) (string, error) {
	for _, name := range append([]string{"redis-server"}, places...) {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("redis-server was not found: install it with `deploy/install-deps.sh` (or `apt-get install redis-server`) on Debian, " +
		"`brew install redis` on macOS, else from https://redis.io/downloads (7.0.5 or newer); " +
		"the local stack also takes a running one from REDIS_URL")
}

// waitAOF is the first Redis that has WAITAOF.
var waitAOF = [2]int{7, 2}

// findNewRedis returns the path of a redis-server that has WAITAOF: findRedis's, else the one that
// deploy/install-deps.sh keeps in the user's cache folder.
func findNewRedis(places []string) (string, error) {
	path, err := findRedis(places)
	if err == nil {
		if err = checkNew(path); err == nil {
			return path, nil
		}
	}
	if cache, none := os.UserCacheDir(); none == nil {
		cached := filepath.Join(cache, "agentbus", "redis-8", "redis-server")
		if checkNew(cached) == nil {
			return cached, nil
		}
	}
	return "", fmt.Errorf("a redis-server of version %d.%d or newer was not found (%w): get one with `deploy/install-deps.sh --for-tests` on Debian 12, "+
		"`brew install redis` on macOS, else from https://redis.io/downloads and put it in PATH", waitAOF[0], waitAOF[1], err)
}

// checkNew wants the program to be a server with WAITAOF.
func checkNew(path string) error {
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return fmt.Errorf("%s --version: %w", path, err)
	}
	// Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=e08dbad3e06f3fb
	_, version, _ := strings.Cut(string(out), " v=")
	var have [2]int
	if _, err := fmt.Sscanf(version, "%d.%d", &have[0], &have[1]); err != nil {
		return fmt.Errorf("%s --version says %q", path, out)
	}
	if slices.Compare(have[:], waitAOF[:]) < 0 {
		return fmt.Errorf("%s is %d.%d", path, have[0], have[1])
	}
	return nil
}

// findPostgres returns the directory of the server's programs: PATH's, else the newest of the places.
// Wrappers and links in PATH are followed to it, because initdb looks for postgres beside itself.
func findPostgres(places []string) (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			if version, err := postgresVersion(filepath.Dir(real)); err == nil && version >= minPostgres {
				return filepath.Dir(real), nil
			}
		}
	}
	newest, best := 0, ""
	for _, place := range places {
		dirs, _ := filepath.Glob(place) // the patterns are well-formed
		for _, dir := range dirs {
			// An error means a client's directory, without a server.
			if version, err := postgresVersion(dir); err == nil && version > newest {
				newest, best = version, dir
			}
		}
	}
	if newest >= minPostgres {
		return best, nil
	}
	found := "was not found"
	if newest > 0 {
		found = fmt.Sprintf("was not found, only version %d in %s", newest, best)
	}
	return "", fmt.Errorf("a PostgreSQL server, version %d or newer, %s: install it with `deploy/install-deps.sh` (or `apt-get install postgresql`) on Debian, "+
		"`brew install postgresql@17` on macOS, else from https://www.postgresql.org/download; "+
		"the local stack also takes a running one from DATABASE_URL", minPostgres, found)
}

// postgresVersion is the major version of the server in dir.
func postgresVersion(dir string) (int, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return 0, err
	}
	out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return 0, err
	}
	// postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
	_, after, _ := strings.Cut(string(out), ") ")
	digits, _, _ := strings.Cut(after, ".")
	version, err := strconv.Atoi(strings.TrimSpace(digits))
	if err != nil {
		return 0, fmt.Errorf("%s/postgres --version says %q", dir, out)
	}
	return version, nil
}
