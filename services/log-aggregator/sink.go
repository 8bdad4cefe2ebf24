package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// chunkBytes is how much is written at once: rotation happens between writes, and a chunk must fit into
// the smallest file that can be configured.
const chunkBytes = 1 << 20

// sink is one place the lines go to. It does not buffer: when write returns nil, the operating system
// has every line, and the end of this process takes none with it.
type sink struct {
	name string
	out  io.Writer

	mu   sync.Mutex
	torn bool // the latest write ended inside a line
}

// write writes whole lines. After an error a part may have been written; a line that was torn is ended
// before the next one begins, so that only that one is unreadable.
func (s *sink) write(lines []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(lines) > 0 {
		chunk := chunkOf(lines)
		if s.torn {
			if _, err := s.out.Write([]byte("\n")); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.torn = false
		}
		n, err := s.out.Write(chunk)
		if err != nil {
			s.torn = n > 0 && n <= len(chunk) && chunk[n-1] != '\n'
			return fmt.Errorf("%s: %w", s.name, err)
		}
		lines = lines[len(chunk):]
	}
	return nil
}

// chunkOf is the first part of lines that ends a line: at most chunkBytes, or one line when that is longer.
func chunkOf(lines []byte) []byte {
	if len(lines) <= chunkBytes {
		return lines
	}
	if end := bytes.LastIndexByte(lines[:chunkBytes], '\n'); end >= 0 {
		return lines[:end+1]
	}
	if end := bytes.IndexByte(lines, '\n'); end >= 0 {
		return lines[:end+1]
	}
	return lines
}
