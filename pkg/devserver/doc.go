// Package devserver starts private Redis and PostgreSQL servers for the local stack and for tests.
// Tests call the helpers of the package servertest.
//
// A server belongs to the process that started it: it listens on 127.0.0.1 only, runs in a process
// group of its own (so a Ctrl-C in the terminal reaches the owner alone, which then decides the order
// of the end), and dies with the owner, also when that one is killed with SIGKILL. For the latter the
// kernel's parent death signal is used, which is tied to the thread that forked: each server has a
// goroutine locked to a thread which forks it and then waits for it, so the thread lives as long as the
// server does. Other systems than Linux have no such signal; there a killed owner leaves its servers
// running and the next start on the same directory says so.
//
// A directory has one server at a time. The server process itself holds a lock on <Dir>/lock by an
// inherited file descriptor, so the lock ends exactly when the last process of the server has ended,
// whatever happened to the owner. A start waits for it for a few seconds, which is what a restart right
// after a kill needs.
//
// Redis is the redis-server of PATH, so a PATH with another one in front runs all tests on that one.
// RedisOptions.New asks for 7.2 or newer: PATH's where it is new enough, else the one that
// deploy/install-deps.sh --for-tests keeps in agentbus/redis-8 of the user's cache folder, since Debian 12
// has 7.0.
//
// PostgreSQL refuses to run as root. As root, the cluster belongs to the user postgres and its
// processes run as that user. Where a parent of the directory is closed to that user (a checkout under
// /root) the cluster lives in a private folder of os.TempDir() and Dir is a symbolic link to it;
// RemovePostgres removes both. A system that empties its temporary folder at boot forgets that cluster.
package devserver
