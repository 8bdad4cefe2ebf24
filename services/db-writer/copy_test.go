package main

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"agentbus/pkg/devserver/servertest"
)

// TestBothWaysStoreTheSame holds COPY's binary form against what pgx makes of the same values.
func TestBothWaysStoreTheSame(t *testing.T) {
	t.Parallel()
	batch := course(t, "wf-1")
	batch[0].Event.Metadata = map[string]string{"tenant": "blue", "traceparent": "00-1-2-01"}
	batch[1].Event.Metadata = map[string]string{"said": "\"à la\\carte\"\n", "plain": "x"}
	batch[2].Event.Extra = map[string]json.RawMessage{"team": json.RawMessage(`{"name":"ü"}`)}
	batch[3].Event.Timestamp = time.Date(1, 1, 1, 0, 0, 0, 999_999_999, time.UTC)
	batch[4].Event.Timestamp = time.Date(9999, 12, 31, 23, 59, 59, 1_000, time.UTC)
	batch[5].Seq = 1<<63 - 1
	rows := make([]row, len(batch))
	for i, m := range batch {
		var err error
		if rows[i], err = newRow(i, m); err != nil {
			t.Fatal(err)
		}
	}
	var kept [2][][]string
	for i, way := range []func(context.Context, pgx.Tx, []row) ([]row, error){copyAll, insertNew} {
		w := newWriter(t, servertest.Postgres(t))
		if n, err := storeBy(t.Context(), w.pool, rows, way); err != nil || n != len(rows) {
			t.Fatalf("stored %d, %v", n, err)
		}
		kept[i] = record(t, w)
	}
	if diff := cmp.Diff(kept[1], kept[0]); diff != "" {
		t.Errorf("copied (+) is not what is inserted (-): %s", diff)
	}
}

func TestWhatIsThereIsNotStoredAgain(t *testing.T) {
	t.Parallel()
	w := newWriter(t, servertest.Postgres(t))
	all := course(t, "wf-1")
	wellStored(t, w.handle(t.Context(), all[:2]))
	wellStored(t, w.handle(t.Context(), append(all, all[5:]...))) // two stored before, four twice in the batch
	want := newWriter(t, servertest.Postgres(t))
	wellStored(t, want.handle(t.Context(), all))
	if diff := cmp.Diff(record(t, want), record(t, w)); diff != "" {
		t.Error(diff)
	}
}

// BenchmarkCopyForm writes a batch of 1,000 in COPY's binary form.
func BenchmarkCopyForm(b *testing.B) {
	rows := make([]row, 1000)
	for i, m := range newFleet(b, 1000).batch(len(rows)) {
		var err error
		if rows[i], err = newRow(i, m); err != nil {
			b.Fatal(err)
		}
	}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = appendCopy(out[:0], rows)
	}
	b.SetBytes(int64(len(out)))
}
