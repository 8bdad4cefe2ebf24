package bus

import (
	"sync"

	"github.com/rs/zerolog"
)

// condition logs a state of affairs when it changes, never while it lasts.
type condition struct {
	log       zerolog.Logger
	bad, good string
	mu        sync.Mutex
	down      bool
}

func (s *condition) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil && !s.down:
		s.log.Error().Err(err).Msg(s.bad)
	case err == nil && s.down:
		s.log.Info().Msg(s.good)
	}
	s.down = err != nil
}
