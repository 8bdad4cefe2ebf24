package access

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// lookEvery is how often a file is looked at, when somebody asks: a Secret that is mounted changes
// without a signal.
const lookEvery = 2 * time.Second

// reloaded is what a file says, read again when it has changed. A change that cannot be read is logged
// once, and what it said before stays.
type reloaded[T any] struct {
	setting, path string
	parse         func([]byte) (T, error)
	log           zerolog.Logger
	now           func() time.Time

	mu     sync.Mutex
	value  T
	state  fileState
	looked time.Time
}

type fileState struct {
	modified time.Time
	size     int64
}

func reload[T any](setting, path string, parse func([]byte) (T, error), log zerolog.Logger) (*reloaded[T], error) {
	f := &reloaded[T]{setting: setting, path: path, parse: parse, log: log, now: time.Now}
	f.looked = f.now()
	_, err := f.read()
	return f, err
}

func (f *reloaded[T]) read() (changed bool, err error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return false, fmt.Errorf("%s: %w", f.setting, err)
	}
	state := fileState{info.ModTime(), info.Size()}
	if state == f.state {
		return false, nil
	}
	f.state = state
	raw, err := os.ReadFile(f.path)
	if err != nil {
		return false, fmt.Errorf("%s: %w", f.setting, err)
	}
	value, err := f.parse(raw)
	if err != nil {
		return false, fmt.Errorf("%s=%s: %w", f.setting, f.path, err)
	}
	f.value = value
	return true, nil
}

func (f *reloaded[T]) get() T {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now(); now.Sub(f.looked) >= lookEvery {
		f.looked = now
		switch changed, err := f.read(); {
		case err != nil:
			f.log.Error().Err(err).Msg("a file with keys or tokens cannot be read again; what it said before stays")
		case changed:
			f.log.Info().Str("setting", f.setting).Str("path", f.path).Msg("read again")
		}
	}
	return f.value
}
