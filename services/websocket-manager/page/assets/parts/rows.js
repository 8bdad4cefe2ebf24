// What is known of all workflows: the rows of the list, as the live view tells them.

export class Rows {
  loaded = false;
  stale = false; // the connection is lost: this is how it was
  #rows = new Map();
  #listeners = new Set();

  listen(f) {
    this.#listeners.add(f);
    return () => this.#listeners.delete(f);
  }

  update(rows, snapshot) {
    if (snapshot) {
      this.#rows.clear();
      this.loaded = true;
    }
    for (const row of rows) this.#rows.set(row.workflow_id, row);
    for (const f of this.#listeners) f(rows);
  }

  // forget is for somebody else's eyes: who signs out takes his rows with him.
  forget() {
    this.#rows.clear();
    this.loaded = false;
  }

  setStale(stale) {
    this.stale = stale;
    for (const f of this.#listeners) f([]);
  }

  get(id) { return this.#rows.get(id); }
  get size() { return this.#rows.size; }

  // counts per state, and the rows that match, newest first.
  select(state, text) {
    const counts = { all: 0, running: 0, failed: 0, completed: 0, cancelled: 0 };
    const found = [];
    for (const row of this.#rows.values()) {
      const at = stateOf(row);
      counts.all += 1;
      if (Object.hasOwn(counts, at)) counts[at] += 1;
      if (state !== 'all' && state !== at) continue;
      if (text && !`${row.name ?? ''} ${row.workflow_id} ${row.reason ?? ''} ${row.code ?? ''}`.toLowerCase().includes(text)) continue;
      found.push(row);
    }
    found.sort((a, b) => compare(born(b), born(a)) || compare(b.workflow_id, a.workflow_id));
    return { counts, found };
  }
}

export const stateOf = (row) => (row.state === 'created' ? 'running' : row.state ?? 'running');
export const born = (row) => row.created_at ?? row.started_at ?? row.updated_at ?? '';
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
