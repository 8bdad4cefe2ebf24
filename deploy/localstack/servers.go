package localstack

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"agentbus/pkg/devserver"
)

// startServers starts those of the two that the caller did not bring, at once. What was started is in
// the stack, also after an error.
func (s *Stack) startServers(ctx context.Context) error {
	var (
		wg                   sync.WaitGroup
		redisErr, databaseEr error
	)
	s.RedisURL, s.DatabaseURL = s.opts.RedisURL, s.opts.DatabaseURL
	if s.RedisURL == "" {
		wg.Go(func() {
			redisErr = s.withLog("redis", func(log *os.File) (err error) {
				s.redis, err = devserver.StartRedis(ctx, devserver.RedisOptions{Dir: filepath.Join(s.opts.Dir, "redis"), Log: log})
				if err == nil {
					s.RedisURL = s.redis.URL
				}
				return err
			})
		})
	}
	if s.DatabaseURL == "" {
		wg.Go(func() {
			databaseEr = s.withLog("postgres", func(log *os.File) (err error) {
				s.postgres, err = devserver.StartPostgres(ctx, devserver.PostgresOptions{Dir: filepath.Join(s.opts.Dir, "postgres"), Log: log})
				if err == nil {
					s.DatabaseURL = s.postgres.URL
				}
				return err
			})
		})
	}
	wg.Wait()
	return errors.Join(redisErr, databaseEr)
}

// Remove deletes the folder of a stack that was stopped, with the database's files, which for root live
// elsewhere where PostgreSQL's user cannot reach it.
func Remove(dir string) error {
	return errors.Join(devserver.RemovePostgres(filepath.Join(dir, "postgres")), os.RemoveAll(dir))
}

// withLog opens a server's log; the stack closes it when the server has stopped.
func (s *Stack) withLog(name string, start func(*os.File) error) error {
	log, err := os.Create(filepath.Join(s.opts.Dir, logsDir, name+".log"))
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.files = append(s.files, log)
	s.mu.Unlock()
	return start(log)
}

// stopServers ends what startServers started.
func (s *Stack) stopServers(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i, server := range []*devserver.Server{s.redis, s.postgres} {
		if server != nil {
			wg.Go(func() { errs[i] = server.Stop(ctx) })
		}
	}
	wg.Wait()
	for _, f := range s.files {
		_ = f.Close() // a server's output, written without buffer
	}
	s.files = nil
	return errors.Join(errs...)
}
