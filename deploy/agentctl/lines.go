package main

import (
	"fmt"
	"io"
	"time"
)

// lines shows one line per change, for a file or a pipe.
type lines struct {
	out  io.Writer
	last map[string]stageRow
}

func newLines(out io.Writer) *lines { return &lines{out, map[string]stageRow{}} }

func (d *lines) show(b board) {
	for _, r := range b.stages {
		before, known := d.last[r.name]
		if r.state == "pending" || known && before.state == r.state && before.message == r.message && before.attempt == r.attempt {
			continue
		}
		d.last[r.name] = r
		message := r.message
		if r.over() && r.state != "completed" || message == "" {
			message = r.state + " " + message
		}
		if r.attempt > 1 {
			message = fmt.Sprintf("try %d: %s", r.attempt, message)
		}
		fmt.Fprintf(d.out, "  %-11s %3d%% %6s  %s\n", r.name, r.percent, took(r.elapsed(time.Now())), clip(message, 200))
	}
}

func (d *lines) close() {}
