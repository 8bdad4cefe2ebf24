package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"agentbus/deploy/bench/stack"
	"agentbus/deploy/bench/workload"
)

// report collects what is printed and kept.
type report struct {
	Conditions string
	Sections   []*part
}

type part struct {
	Title   string
	Rows    []entry
	Targets []target
	Notes   []string
}

type entry struct {
	What, Load string
	Text       string           `json:",omitempty"` // instead of figures
	Result     *workload.Result `json:",omitempty"`
	Stack      *stack.Result    `json:",omitempty"`
}

type target struct {
	What     string
	Measured float64
	Unit     string
	Wanted   float64
	AtMost   bool
}

func (t target) met() bool {
	if t.AtMost {
		return t.Measured < t.Wanted
	}
	return t.Measured >= t.Wanted
}

func (r *report) last() *part { return r.Sections[len(r.Sections)-1] }

func (r *report) begin(out io.Writer, title string) {
	r.Sections = append(r.Sections, &part{Title: title})
	fmt.Fprintf(out, "\n%s\n", strings.ToUpper(title[:1])+title[1:])
}

func (r *report) add(what, load string, result workload.Result) {
	r.last().Rows = append(r.last().Rows, entry{What: what, Load: load, Result: &result})
}

func (r *report) addStack(load string, result stack.Result) {
	r.last().Rows = append(r.last().Rows, entry{Load: load, Stack: &result})
}

func (r *report) line(what, load, text string) {
	r.last().Rows = append(r.last().Rows, entry{What: what, Load: load, Text: text})
}

func (r *report) target(what string, measured float64, unit string, wanted float64, atMost bool) {
	r.last().Targets = append(r.last().Targets, target{what, measured, unit, wanted, atMost})
}

func (r *report) note(text string) { r.last().Notes = append(r.last().Notes, text) }

// end prints the section.
func (r *report) end(out io.Writer) {
	p := r.last()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\t\tEVENTS/S\tP50\tP99\tP99.9\tMAX ms\tCPU µs/EVENT\tKiB/EVENT")
	var lines []string
	for _, e := range p.Rows {
		switch {
		case e.Text != "":
			lines = append(lines, e.What+", "+e.Load+": "+e.Text)
		case e.Stack != nil:
			latencies(w, "row committed", e.Load, e.Stack.PerSecond, e.Stack.Each["row"], "")
			latencies(w, "WebSocket frame", "", 0, e.Stack.Each["frame"], "")
			latencies(w, "sample", "", 0, e.Stack.Metric, "")
			latencies(w, "log line", "", 0, e.Stack.Each["line"], "")
			lines = append(lines, e.Load+": "+processes(e.Stack))
		default:
			u := e.Result.Usage
			latencies(w, e.What, e.Load, e.Result.PerSecond, e.Result.Latency, fmt.Sprintf("%.0f + %.0f\t%.1f", u.ClientCPU, u.ServerCPU, u.Bytes/1024))
		}
	}
	_ = w.Flush() // a terminal that is gone
	for _, text := range append(lines, p.Notes...) {
		fmt.Fprintln(out, text)
	}
	for _, t := range p.Targets {
		verdict, bound := "MISSED", "at least"
		if t.met() {
			verdict = "met"
		}
		if t.AtMost {
			bound = "under"
		}
		fmt.Fprintf(out, "target %s: %s: %.4g %s, wanted %s %.4g\n", verdict, t.What, t.Measured, t.Unit, bound, t.Wanted)
	}
}

func latencies(w io.Writer, what, load string, perSecond float64, l workload.Latency, more string) {
	rate := ""
	if perSecond > 0 {
		rate = fmt.Sprintf("%.0f", perSecond)
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%.1f\t%.1f\t%.1f\t%.1f\t%s\n", what, load, rate, l.P50, l.P99, l.P999, l.Max, more)
}

// processes are what each took: CPU per event, KiB allocated per event, peak memory.
func processes(r *stack.Result) string {
	parts := []string{fmt.Sprintf("bench %.0f µs", r.Usage.ClientCPU)}
	for _, p := range r.Processes {
		text := fmt.Sprintf("%s %.0f µs", p.Name, p.CPU)
		if p.Bytes > 0 {
			text += fmt.Sprintf(" %.1f KiB", p.Bytes/1024)
		}
		parts = append(parts, text+fmt.Sprintf(" (%.0f MiB)", p.PeakMiB))
	}
	return strings.Join(parts, ", ")
}

func (r *report) save(file string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(raw, '\n'), 0o644)
}

// conditions are what the figures depend on.
func conditions() string {
	model := "unknown processor"
	raw, _ := os.ReadFile("/proc/cpuinfo") // none on other systems
	for line := range strings.Lines(string(raw)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%s, %d processors (%s), %s/%s, %s, servers and clients on the same machine",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, runtime.Version())
}
