package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
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
	Ratios  []ratio  `json:",omitempty"`
	Targets []target `json:",omitempty"`
	Notes   []string
}

// entry is a load and how it went: one of Result and Stack.
type entry struct {
	What, Load string
	PerEntry   int              `json:",omitempty"` // most events of an entry, where that is said
	Result     *workload.Result `json:",omitempty"`
	Stack      *stack.Result    `json:",omitempty"`
}

// ratio is agentbus against a peer on the same work, in events/s.
type ratio struct {
	Against         string
	Batch, UnderWay int     // events of a call, and of the calls of all publishers together
	Alone, Shared   float64 // with one event in an entry, and with shared entries
	Wanted          float64 `json:",omitempty"` // of Alone, at least; 0: no target
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

// String is what was wanted and whether it is so.
func (t target) String() string {
	verdict, bound := "MISSED", "at least"
	if t.met() {
		verdict = "met"
	}
	if t.AtMost {
		bound = "under"
	}
	return fmt.Sprintf("%s %g: %s", bound, t.Wanted, verdict)
}

func (r *report) last() *part { return r.Sections[len(r.Sections)-1] }

func (r *report) begin(out io.Writer, title string) {
	r.Sections = append(r.Sections, &part{Title: title})
	fmt.Fprintf(out, "\n%s\n", strings.ToUpper(title[:1])+title[1:])
}

func (r *report) add(e entry)      { r.last().Rows = append(r.last().Rows, e) }
func (r *report) ratio(t ratio)    { r.last().Ratios = append(r.last().Ratios, t) }
func (r *report) target(t target)  { r.last().Targets = append(r.last().Targets, t) }
func (r *report) note(text string) { r.last().Notes = append(r.last().Notes, text) }

// end prints the section.
func (r *report) end(out io.Writer) {
	p := r.last()
	p.printLoads(out)
	p.printRatios(out)
	p.printTargets(out)
	for _, text := range p.Notes {
		fmt.Fprintln(out, text)
	}
}

func (p *part) printLoads(out io.Writer) {
	w := table(out, "\t\tIN AN ENTRY\tEVENTS/S\tP50\tP99\tP99.9\tMAX ms\tCPU µs/EVENT\tKiB/EVENT")
	var lines []string
	for _, e := range p.Rows {
		load := e.Load + "\t"
		if e.PerEntry > 0 {
			load += strconv.Itoa(e.PerEntry)
		}
		if e.Stack == nil {
			more := ""
			if u := e.Result.Usage; u != (workload.Usage{}) {
				more = fmt.Sprintf("%.0f + %.0f\t%.1f", u.ClientCPU, u.ServerCPU, u.Bytes/1024)
			}
			latencies(w, e.What, load, e.Result.PerSecond, e.Result.Latency, more)
			continue
		}
		latencies(w, "row committed", load, e.Stack.PerSecond, e.Stack.Each["row"], fmt.Sprintf("%.0f", e.Stack.CPU()))
		latencies(w, "WebSocket frame", "\t", 0, e.Stack.Each["frame"], "")
		latencies(w, "sample", "\t", 0, e.Stack.Metric, "")
		latencies(w, "log line", "\t", 0, e.Stack.Each["line"], "")
		lines = append(lines, fmt.Sprintf("%s, %d in an entry: %s", e.Load, e.PerEntry, processes(e.Stack)))
	}
	_ = w.Flush() // a terminal that is gone
	for _, text := range lines {
		fmt.Fprintln(out, text)
	}
}

func (p *part) printRatios(out io.Writer) {
	if len(p.Ratios) == 0 {
		return
	}
	w := table(out, "AGENTBUS AGAINST\tEVENTS A CALL\tUNDER WAY IN ALL\tONE IN AN ENTRY\tSHARED ENTRIES\tWANTED OF ONE")
	for _, r := range p.Ratios {
		wanted := ""
		if r.Wanted > 0 {
			wanted = target{Measured: r.Alone, Wanted: r.Wanted}.String()
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%.2f times\t%.2f times\t%s\n", r.Against, r.Batch, r.UnderWay, r.Alone, r.Shared, wanted)
	}
	_ = w.Flush() // a terminal that is gone
}

func (p *part) printTargets(out io.Writer) {
	if len(p.Targets) == 0 {
		return
	}
	w := table(out, "TARGET\tMEASURED\tWANTED")
	for _, t := range p.Targets {
		digits := 2
		if t.Measured >= 100 {
			digits = 0
		}
		fmt.Fprintf(w, "%s\t%.*f %s\t%s\n", t.What, digits, t.Measured, t.Unit, t)
	}
	_ = w.Flush() // a terminal that is gone
}

func table(out io.Writer, header string) *tabwriter.Writer {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, header)
	return w
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
