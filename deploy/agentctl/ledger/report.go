package ledger

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what became of every event, in every group.
type Report struct {
	Attempted, Acked, Failed, Unknown int
	Groups                            []Group // in the order they came into the ledger
}

// Group is the report of one group. Ids are sorted.
type Group struct {
	Group            string
	Attempted, Acked int // of the types the group consumes
	Lost             []string
	Recovered        []string
	Duplicated       []string
	Unexpected       []string
	DeadLettered     []string
}

// Report compares what was published with what it led to. Ask when everything
// has drained: what is still on its way counts as lost.
func (l *Ledger) Report() Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := Report{Attempted: len(l.attempts)}
	for _, a := range l.attempts {
		switch a.outcome {
		case Acked:
			r.Acked++
		case Failed:
			r.Failed++
		default:
			r.Unknown++
		}
	}
	for _, a := range l.groups {
		r.Groups = append(r.Groups, l.compare(a))
	}
	return r
}

func (l *Ledger) compare(a *account) Group {
	g := Group{Group: a.group}
	for id, tried := range l.attempts {
		if !a.consumes(tried.typ) {
			continue
		}
		g.Attempted++
		effects, letters := a.effects[id], a.letters[id]
		if tried.outcome == Acked {
			g.Acked++
			if effects == 0 && letters == 0 {
				g.Lost = append(g.Lost, id)
			}
		}
		if tried.outcome == Unknown && effects > 0 {
			g.Recovered = append(g.Recovered, id)
		}
	}
	for id, times := range a.effects {
		tried, known := l.attempts[id]
		if !known || tried.outcome == Failed || !a.consumes(tried.typ) {
			g.Unexpected = append(g.Unexpected, id)
		}
		if times > 1 {
			g.Duplicated = append(g.Duplicated, id)
		}
	}
	for id := range a.letters {
		g.DeadLettered = append(g.DeadLettered, id)
	}
	for _, ids := range [][]string{g.Lost, g.Recovered, g.Duplicated, g.Unexpected, g.DeadLettered} {
		slices.Sort(ids)
	}
	return g
}

// Err names what must not be: lost, duplicated and unexpected events of any
// group. Nil when the books balance.
func (r Report) Err() error {
	var wrong []error
	for _, g := range r.Groups {
		for _, c := range []struct {
			what string
			ids  []string
		}{{"lost", g.Lost}, {"duplicated", g.Duplicated}, {"unexpected", g.Unexpected}} {
			if len(c.ids) > 0 {
				wrong = append(wrong, fmt.Errorf("%s: %d %s: %s", g.Group, len(c.ids), c.what, few(c.ids)))
			}
		}
	}
	return errors.Join(wrong...)
}

// few names up to ten ids.
func few(ids []string) string {
	if len(ids) > 10 {
		return strings.Join(ids[:10], " ") + " ..."
	}
	return strings.Join(ids, " ")
}

// Write prints the report, one line per group.
func (r Report) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "group\tattempted\tacknowledged\tlost\trecovered\tduplicated\tunexpected\tdead-lettered\t")
	for _, g := range r.Groups {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", g.Group, g.Attempted, g.Acked,
			len(g.Lost), len(g.Recovered), len(g.Duplicated), len(g.Unexpected), len(g.DeadLettered))
	}
	return t.Flush()
}

// Row is a report as one line of the table of faults: events attempted and
// acknowledged, and what happened to them summed over the groups.
type Row struct {
	Fault                                                                   string
	Runs                                                                    int
	Attempted, Acked, Lost, Recovered, Duplicated, Unexpected, DeadLettered int
	Recovery                                                                time.Duration // from the end of the fault until all was handled
}

// Row sums the report up.
func (r Report) Row(fault string, runs int, recovery time.Duration) Row {
	row := Row{Fault: fault, Runs: runs, Attempted: r.Attempted, Acked: r.Acked, Recovery: recovery}
	for _, g := range r.Groups {
		row.Lost += len(g.Lost)
		row.Recovered += len(g.Recovered)
		row.Duplicated += len(g.Duplicated)
		row.Unexpected += len(g.Unexpected)
		row.DeadLettered += len(g.DeadLettered)
	}
	return row
}

// WriteTable prints rows under one heading.
func WriteTable(w io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "fault\truns\tattempted\tacknowledged\tlost\trecovered\tduplicated\tunexpected\tdead-lettered\trecovery")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f s\n", r.Fault, r.Runs, r.Attempted, r.Acked,
			r.Lost, r.Recovered, r.Duplicated, r.Unexpected, r.DeadLettered, r.Recovery.Seconds())
	}
	return t.Flush()
}
