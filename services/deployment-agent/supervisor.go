package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"agentbus/pkg/agent"
)

const (
	superviseEvery = time.Second
	maxRestartWait = time.Minute
)

// supervisor keeps the current releases running. They outlive a killed agent: the
// next one adopts them, by pid and start time, or starts them again. Of several
// agents on one DEPLOY_DIR, each looks after what it owns, and takes over from
// those that are dead. When ctx ends, it stops what it owns.
//
//	current's process lives, its owner lives   nothing to do
//	                  lives, its owner is dead adopt: become the owner
//	                  is dead, or there is none start it, with back-off
//	another release's process lives            stop it: a deployment was killed
type supervisor struct {
	dir   string
	log   zerolog.Logger
	tries map[string]attempt // by service
}

// attempt is when a service that does not stay up may be started again.
type attempt struct {
	next time.Time
	wait time.Duration
}

func newSupervisor(dir string, log zerolog.Logger) *supervisor {
	return &supervisor{dir: dir, log: log, tries: map[string]attempt{}}
}

// run supervises until ctx ends.
func (v *supervisor) run(ctx context.Context) error {
	tick := time.NewTicker(superviseEvery)
	defer tick.Stop()
	for {
		if err := v.look(time.Now()); err != nil {
			v.log.Error().Err(err).Str("deploy_dir", v.dir).Msg("cannot look after the releases")
		}
		select {
		case <-ctx.Done():
			return v.stop()
		case <-tick.C:
		}
	}
}

// look goes through all services once.
func (v *supervisor) look(now time.Time) error {
	list, err := sites(v.dir)
	for _, s := range list {
		unlock, ok, lockErr := s.tryLock()
		if err = errors.Join(err, lockErr); !ok {
			continue // somebody deploys it, and answers for it
		}
		err = errors.Join(err, v.care(s, now))
		unlock()
	}
	return err
}

func (v *supervisor) care(s *site, now time.Time) error {
	current, err := s.current()
	if err != nil {
		return err
	}
	list, err := s.releases()
	for _, r := range list {
		if i, ok := s.instance(r.Version); ok && r.Version != current && !i.Owner.Alive() {
			v.log.Warn().Str("release_of", s.service).Str("version", r.Version).Msg("stopping a release that was not confirmed")
			i.stop(context.Background())
		}
	}
	if current == "" || err != nil {
		return err
	}
	i, alive := s.instance(current)
	if i.Owner.Alive() && alive {
		if now.After(v.tries[s.service].next.Add(maxRestartWait)) {
			delete(v.tries, s.service) // it stays up: patience begins anew
		}
		return nil
	}
	self, _ := agent.Identify(os.Getpid())
	if alive {
		v.log.Info().Str("release_of", s.service).Str("version", current).Int("pid", i.PID).Msg("release adopted")
		i.Owner = self
		return writeJSON(s.path(current, processFile), i)
	}
	a := v.tries[s.service]
	if now.Before(a.next) {
		return nil
	}
	a.wait = min(max(2*a.wait, superviseEvery), maxRestartWait)
	a.next = now.Add(a.wait)
	v.tries[s.service] = a
	v.log.Warn().Str("release_of", s.service).Str("version", current).Msg("release is not running, starting it")
	_, err = s.start(current)
	return err
}

// stop ends the releases that this agent owns, all at once.
func (v *supervisor) stop() error {
	list, err := sites(v.dir)
	self, _ := agent.Identify(os.Getpid())
	var wg sync.WaitGroup
	for _, s := range list {
		releases, listErr := s.releases()
		err = errors.Join(err, listErr)
		for _, r := range releases {
			if i, ok := s.instance(r.Version); ok && i.Owner == self {
				wg.Go(func() { i.stop(context.Background()) })
			}
		}
	}
	wg.Wait()
	return err
}
