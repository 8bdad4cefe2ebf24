package agent

import (
	"bytes"
	"strings"
	"sync"
)

// tail keeps the last bytes written to it. Safe for concurrent use.
type tail struct {
	mu    sync.Mutex
	limit int
	kept  []byte
	cut   bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - t.limit; over > 0 {
		t.kept, t.cut = append(t.kept[:0], t.kept[over:]...), true
	}
	return len(p), nil
}

// String is valid UTF-8 without NULs, so that it can stand in an event.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Clean(string(t.kept))
	if t.cut {
		s = "... " + s
	}
	return strings.TrimSpace(s)
}

// Clean makes text of unknown origin fit for an event: valid UTF-8, no NULs.
func Clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// maxLine bounds what Lines keeps of one line, in bytes.
const maxLine = 1 << 20

// Lines calls each with every full line written to it, without its end. A line
// longer than 1 MiB is given in parts. Close gives the rest. Not for concurrent use.
type Lines struct {
	Each func(line []byte)
	rest []byte
}

func (l *Lines) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		l.rest = append(l.rest, p[:i]...)
		l.Each(l.rest)
		l.rest, p = l.rest[:0], p[i+1:]
	}
	l.rest = append(l.rest, p...)
	if len(l.rest) > maxLine {
		l.Close()
	}
	return n, nil
}

// Close gives the last line where it had no end.
func (l *Lines) Close() {
	if len(l.rest) > 0 {
		l.Each(l.rest)
		l.rest = l.rest[:0]
	}
}
