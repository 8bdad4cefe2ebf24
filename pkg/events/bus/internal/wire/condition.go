package wire

import (
	"sync"

	"github.com/rs/zerolog"
)

// Condition logs a state of affairs when it changes, never while it lasts. It is
// bad while any source of it says so: with several partitions some may do.
type Condition struct {
	Log       zerolog.Logger
	Bad, Good string // the messages

	mu   sync.Mutex
	down map[int]struct{} // sources
}

// Set is told by each source, such as a partition, how it fares.
func (c *Condition) Set(source int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, was := c.down[source]
	switch {
	case err != nil && !was:
		if c.down == nil {
			c.down = make(map[int]struct{})
		}
		c.down[source] = struct{}{}
		if len(c.down) == 1 {
			c.Log.Error().Err(err).Msg(c.Bad)
		}
	case err == nil && was:
		delete(c.down, source)
		if len(c.down) == 0 {
			c.Log.Info().Msg(c.Good)
		}
	}
}
