package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// coverage adds up cover profiles: statements, and those that ran.
type coverage struct {
	blocks map[string]block // by file and place: a block may be listed more than once
}

type block struct {
	statements int
	ran        bool
}

// read adds a profile of go test -coverprofile; a file that does not exist is one
// of a module that did not compile.
func (c *coverage) read(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return c.parse(f)
}

func (c *coverage) parse(r io.Reader) error {
	if c.blocks == nil {
		c.blocks = map[string]block{}
	}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "mode:") {
			continue
		}
		f := strings.Fields(line) // file:from,to statements count; the name may hold spaces
		if len(f) < 3 {
			return fmt.Errorf("cover profile: %q is not a block", line)
		}
		n, err1 := strconv.Atoi(f[len(f)-2])
		ran, err2 := strconv.ParseUint(f[len(f)-1], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("cover profile: %w", err)
		}
		place := strings.Join(f[:len(f)-2], " ")
		c.blocks[place] = block{n, c.blocks[place].ran || ran > 0}
	}
	return lines.Err()
}

// percent of the statements that ran, with one decimal; 0 without statements.
func (c *coverage) percent() float64 {
	all, ran := 0, 0
	for _, b := range c.blocks {
		all += b.statements
		if b.ran {
			ran += b.statements
		}
	}
	if all == 0 {
		return 0
	}
	return float64(ran*1000/all) / 10
}
