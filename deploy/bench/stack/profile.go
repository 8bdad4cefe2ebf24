package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// profile keeps a CPU profile of each service over d, and what it has allocated and waited for so far.
func (s *Stack) profile(ctx context.Context, d time.Duration) error {
	if s.Profiles == "" {
		return nil
	}
	var wg sync.WaitGroup
	errs := make([]error, len(Consumers))
	for i, name := range Consumers {
		base := s.services.URL(name, "OPS_ADDR") + "/debug/pprof/"
		wg.Go(func() {
			errs[i] = errors.Join(
				s.fetch(ctx, base+fmt.Sprintf("profile?seconds=%d", max(1, int(d.Seconds()))), name+".cpu"),
				s.fetch(ctx, base+"allocs", name+".allocs"), s.fetch(ctx, base+"mutex", name+".mutex"))
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (s *Stack) fetch(ctx context.Context, url, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // read to its end
	out, err := os.Create(filepath.Join(s.Profiles, file))
	if err != nil {
		return err
	}
	_, err = io.Copy(out, response.Body)
	return errors.Join(err, out.Close())
}

// RedisStats keeps what Redis says of its commands and its latency so far.
func (s *Stack) RedisStats(ctx context.Context, folder string) error {
	var text string
	for _, section := range []string{"commandstats", "latencystats", "cpu", "memory", "persistence"} {
		info, err := s.bus.Client().Info(ctx, section).Result()
		if err != nil {
			return err
		}
		text += info
	}
	return os.WriteFile(filepath.Join(folder, "redis.txt"), []byte(text), 0o644)
}
