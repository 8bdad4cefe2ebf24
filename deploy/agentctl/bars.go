package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"agentbus/deploy/agentctl/coordinator"
)

// bars shows one bar per stage, for a person at a terminal.
type bars struct {
	progress *mpb.Progress
	bars     []*mpb.Bar

	mu    sync.Mutex
	board board
}

const (
	barWidth     = 26
	messageWidth = 38 // with the rest of the line this fits 100 columns
)

func newBars(out io.Writer, w coordinator.Workflow) *bars {
	fmt.Fprintf(out, "%s (%s)\n", w.Name, w.ID)
	d := &bars{progress: mpb.New(mpb.WithOutput(out), mpb.WithRefreshRate(100*time.Millisecond), mpb.WithAutoRefresh())}
	d.board.look(w)
	for i, s := range w.Stages {
		d.bars = append(d.bars, d.progress.New(100, mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]"),
			mpb.BarWidth(barWidth),
			mpb.PrependDecorators(decor.Name("  "+s.Name, decor.WC{W: 13, C: decor.DindentRight})),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return d.line(i) })),
		))
	}
	return d
}

// line is what stands behind a bar.
func (d *bars) line(i int) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.board.stages[i]
	if r.state == "pending" {
		return ""
	}
	message := r.message
	switch {
	case r.state == "failed" || r.state == "cancelled":
		message = r.state + ": " + message
	case r.attempt > 1:
		message = fmt.Sprintf("try %d: %s", r.attempt, message)
	}
	// Padded: what a longer message left is overwritten.
	return fmt.Sprintf(" %3d%% %6s  %-*s", r.percent, took(r.elapsed(time.Now())), messageWidth, clip(message, messageWidth))
}

func (d *bars) show(b board) {
	d.mu.Lock()
	d.board = b
	d.board.stages = append([]stageRow(nil), b.stages...)
	d.mu.Unlock()
	for i, r := range b.stages {
		percent := min(r.percent, 99) // 100 would end the bar
		if r.state == "completed" {
			percent = 100
		}
		d.bars[i].SetCurrent(int64(percent))
	}
}

// close leaves the bars as they are.
func (d *bars) close() {
	for _, bar := range d.bars {
		bar.Abort(false) // no effect on those that are complete
	}
	d.progress.Wait()
}
