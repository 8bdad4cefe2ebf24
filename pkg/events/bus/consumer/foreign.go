package consumer

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentbus/pkg/events/bus/internal/wire"
)

// foreignPatience bounds how long a reader tries to have foreign entries admitted.
const foreignPatience = 30 * time.Second

// foreignAdmitter admits entries that others added without a number, so that every group sees
// them under the same one.
type foreignAdmitter struct {
	group      *group
	inflight   *inflight
	acks       *acknowledger
	duplicates prometheus.Counter
}

// admit gives the deliveries of one partition that have no number theirs and returns
// all but those that repeat an event; these are acknowledged. It tries until Redis
// answers: they are in hand, and nothing can be done with them before.
func (a *foreignAdmitter) admit(ds []*delivery, part int) []*delivery {
	var foreign []*delivery
	var entries []wire.Foreign
	for _, d := range ds {
		if d.Seq == 0 {
			foreign = append(foreign, d)
			entries = append(entries, wire.Foreign{EntryID: d.EntryID, Type: d.Event.Type, EventID: d.Event.ID, Workflow: d.Event.WorkflowID})
		}
	}
	if len(foreign) == 0 {
		return ds
	}
	seqs := a.ask(part, entries)
	if seqs == nil { // they stay pending and are found again as stranded
		for _, d := range ds {
			a.inflight.remove(d.key())
		}
		return nil
	}
	for i, d := range foreign {
		d.Seq = seqs[i]
	}
	admitted := ds[:0]
	for _, d := range ds {
		if d.Seq > 0 {
			admitted = append(admitted, d)
			continue
		}
		a.duplicates.Inc()
		a.acks.add(d.key())
	}
	return admitted
}

// ask repeats the call until Redis answers; nil when it does not within foreignPatience.
func (a *foreignAdmitter) ask(part int, entries []wire.Foreign) []int64 {
	ctx, cancel := context.WithTimeout(context.Background(), foreignPatience)
	defer cancel()
	for attempt := 1; ctx.Err() == nil; attempt++ {
		if seqs, err := a.group.conn.AdmitForeign(ctx, part, entries); err == nil {
			return seqs
		}
		wire.Pause(ctx, wire.Backoff(attempt, 20*time.Millisecond, time.Second, wire.Jitter))
	}
	return nil
}
