package consumer

import (
	"context"
	"slices"

	"agentbus/pkg/events/bus/internal/wire"
)

// attempts writes the numbers of attempts into the pending list, so that the count
// survives the member and goes with the acknowledgement.
type attempts struct{ group *group }

// count writes d.begun and more of each delivery: one script call per partition and
// wire.MaxBatch entries. It tells of each whether it is still this member's. One that is
// not in the answer could not be counted: Redis is away.
func (a attempts) count(ctx context.Context, ds []*delivery, more int) map[*delivery]bool {
	ours := make(map[*delivery]bool, len(ds))
	for part := range a.group.streams {
		var asked []*delivery
		for _, d := range ds {
			if d.part == part {
				asked = append(asked, d)
			}
		}
		for chunk := range slices.Chunk(asked, wire.MaxBatch) {
			held, err := a.countChunk(ctx, chunk, more)
			if err != nil {
				continue
			}
			for i, d := range chunk {
				ours[d] = held[i]
			}
		}
	}
	return ours
}

func (a attempts) countChunk(ctx context.Context, ds []*delivery, more int) ([]bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wire.WriteTimeout)
	defer cancel()
	entries := make([]wire.Pending, len(ds))
	for i, d := range ds {
		entries[i] = wire.Pending{EntryKey: d.key(), Begun: d.begun + more}
	}
	return a.group.conn.CountAttempts(ctx, a.group.name, entries)
}
