package live

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// gatherFor is how long changes of rows are gathered before they are read: a workflow that changes a
// thousand times a second is shown ten times.
const gatherFor = 100 * time.Millisecond

// list follows the rows of all workflows for the list's watches on this replica. A row is a state, not
// a course: a watch that was slow gets the latest one, and nothing queues up.
type list struct {
	store *store
	woken chan struct{} // capacity 1

	mu      sync.Mutex
	loaded  bool // rows are those of Redis, but for dirty ones
	dirty   map[string]struct{}
	rows    map[string]listRow
	version int64 // of the latest change
	watches map[*ListWatch]struct{}
}

type listRow struct {
	version int64
	tenant  string
	row     json.RawMessage
}

func newList(s *store) *list {
	return &list{
		store: s, woken: make(chan struct{}, 1), dirty: map[string]struct{}{},
		rows: map[string]listRow{}, watches: map[*ListWatch]struct{}{},
	}
}

// changed notes that rows have changed; none means that any may have.
func (l *list) changed(workflowIDs ...string) {
	l.mu.Lock()
	if len(workflowIDs) == 0 {
		l.loaded = false
	}
	for _, id := range workflowIDs {
		l.dirty[id] = struct{}{}
	}
	watched := len(l.watches) > 0
	if !watched {
		l.forget()
	}
	l.mu.Unlock()
	if watched {
		l.wake()
	}
}

func (l *list) wake() {
	select {
	case l.woken <- struct{}{}:
	default:
	}
}

// forget drops what nobody looks at. The caller holds the lock.
func (l *list) forget() {
	l.loaded = false
	clear(l.dirty)
	clear(l.rows)
}

// run reads until ctx ends.
func (l *list) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.woken:
		case <-time.After(lookEvery):
		}
		if err := l.read(ctx); err != nil {
			l.changed() // part of it may be missing: begin anew
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(gatherFor):
		}
	}
}

func (l *list) read(ctx context.Context) error {
	l.mu.Lock()
	if len(l.watches) == 0 {
		l.mu.Unlock()
		return nil
	}
	whole := !l.loaded
	ids := make([]string, 0, len(l.dirty))
	for id := range l.dirty {
		ids = append(ids, id)
	}
	clear(l.dirty)
	l.loaded = true
	l.mu.Unlock()

	if whole {
		var err error
		if ids, err = l.store.listed(ctx); err != nil {
			return err
		}
	}
	rows, err := l.store.rows(ctx, ids)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, row := range rows {
		if had, ok := l.rows[id]; ok && string(had.row) == string(row) {
			continue
		}
		var of struct{ Tenant string }
		if err := json.Unmarshal(row, &of); err != nil {
			return err
		}
		l.version++
		l.rows[id] = listRow{l.version, of.Tenant, row}
	}
	for w := range l.watches {
		w.ready = true
		w.signal()
	}
	return nil
}

// ListWatch is one client's view of the list.
type ListWatch struct {
	list   *list
	sees   func(tenant string) bool
	signal func()
	ready  bool  // the rows have been read since it began; guarded by list.mu
	at     int64 // version of the latest row it was told
	told   bool
}

// Next returns the rows that have changed since the last call. The first answer has all rows, and ok is
// false as long as they have not been read; signal is called when there is something.
func (w *ListWatch) Next() (rows []json.RawMessage, snapshot, ok bool) {
	l := w.list
	l.mu.Lock()
	defer l.mu.Unlock()
	if !w.ready || (w.told && w.at == l.version) {
		return nil, false, false
	}
	rows = []json.RawMessage{}
	for _, r := range l.rows {
		if r.version > w.at && w.sees(r.tenant) {
			rows = append(rows, r.row)
		}
	}
	snapshot = !w.told
	w.at, w.told = l.version, true
	return rows, snapshot, true
}

// Close ends the watch.
func (w *ListWatch) Close() {
	w.list.mu.Lock()
	defer w.list.mu.Unlock()
	delete(w.list.watches, w)
	if len(w.list.watches) == 0 {
		w.list.forget()
	}
}
