package bus

import (
	"sync"

	"github.com/rs/zerolog"
)

// condition logs a state of affairs when it changes, never while it lasts. It is
// bad while any source of it says so: with several partitions some may do.
type condition struct {
	log       zerolog.Logger
	bad, good string
	mu        sync.Mutex
	down      map[int]struct{} // sources
}

// acking is the source besides the partitions.
const acking = -1

// set is told by each source, a partition or acking, how it fares.
func (s *condition) set(source int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, was := s.down[source]
	switch {
	case err != nil && !was:
		if s.down == nil {
			s.down = make(map[int]struct{})
		}
		s.down[source] = struct{}{}
		if len(s.down) == 1 {
			s.log.Error().Err(err).Msg(s.bad)
		}
	case err == nil && was:
		delete(s.down, source)
		if len(s.down) == 0 {
			s.log.Info().Msg(s.good)
		}
	}
}
