package ledger

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentbus/pkg/events"
)

func event(id string, typ events.Type) events.Event { return events.Event{ID: id, Type: typ} }

// books is a run in which everything that can happen happened.
func books() *Ledger {
	l := New("writers", "logs")
	l.Restrict("logs", events.WorkflowStarted)
	for _, e := range []struct {
		id  string
		typ events.Type
		out Outcome
	}{
		{"fine", events.WorkflowStarted, Acked},
		{"lost", events.WorkflowStarted, Acked},
		{"twice", events.WorkflowStarted, Acked},
		{"buried", events.AuditFailed, Acked},
		{"unknown-there", events.AuditFailed, Unknown},
		{"unknown-not", events.AuditFailed, Unknown},
		{"refused", events.AuditFailed, Failed},
	} {
		l.Attempt(event(e.id, e.typ))
		l.Outcome(e.id, e.out)
	}
	for _, id := range []string{"fine", "twice", "twice", "unknown-there", "refused", "nobody's"} {
		l.Effect("writers", id)
	}
	l.DeadLetter("writers", "buried")
	for _, id := range []string{"fine", "lost", "twice"} {
		l.Effect("logs", id)
	}
	return l
}

func TestReportComparesPublishedWithEffects(t *testing.T) {
	t.Parallel()
	got := books().Report()
	want := Report{Attempted: 7, Acked: 4, Failed: 1, Unknown: 2, Groups: []Group{
		{Group: "writers", Attempted: 7, Acked: 4, Lost: []string{"lost"}, Recovered: []string{"unknown-there"},
			Duplicated: []string{"twice"}, Unexpected: []string{"nobody's", "refused"}, DeadLettered: []string{"buried"}},
		{Group: "logs", Attempted: 3, Acked: 3},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestErrNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	err := books().Report().Err()
	if err == nil {
		t.Fatal("books that do not balance have no error")
	}
	for _, want := range []string{"writers: 1 lost: lost", "writers: 1 duplicated: twice", "writers: 2 unexpected: nobody's refused"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	l := New("writers")
	l.Attempt(event("a", events.WorkflowStarted))
	l.Outcome("a", Acked)
	l.Effect("writers", "a")
	if err := l.Report().Err(); err != nil {
		t.Errorf("books that balance: %v", err)
	}
}

func TestAnAcknowledgementStays(t *testing.T) {
	t.Parallel()
	l := New("writers")
	l.Attempt(event("a", events.WorkflowStarted))
	l.Outcome("a", Acked)
	l.Attempt(event("a", events.WorkflowStarted)) // published again
	l.Outcome("a", Unknown)                       // and this time nobody answered
	if r := l.Report(); r.Acked != 1 || r.Attempted != 1 || len(r.Groups[0].Lost) != 1 {
		t.Errorf("report %+v; want the one event acknowledged, and lost", r)
	}
}

func TestTheTable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := WriteTable(&out, []Row{books().Report().Row("a reply is lost", 3, 1500*time.Millisecond)}); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"fault            runs  attempted  acknowledged  lost  recovered  duplicated  unexpected  dead-lettered  recovery\n" +
		"a reply is lost  3     7          4             1     1          1           2           1              1.5 s\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	out.Reset()
	if err := books().Report().Write(&out); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 3 {
		t.Errorf("the report has %d lines; want a heading and two groups:\n%s", lines, out.String())
	}
}
