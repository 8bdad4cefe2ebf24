// The list of workflows: newest first, changed in place, at most one paint per frame.
import { el, setAttr, setText } from './dom.js';
import { ago, duration } from './format.js';

export const stages = ['generation', 'audit', 'testing', 'deployment'];
const states = ['all', 'running', 'failed', 'completed', 'cancelled'];
const shown = 300; // rows painted at once; the filter reaches the others

export class List {
  #rows = new Map(); // id -> row
  #nodes = new Map(); // id -> element and its parts
  #loaded = false;
  #filter = 'all';
  #text = '';
  #selected = null;
  #painting = false;
  #root = document.getElementById('rows');
  #empty = document.getElementById('list-empty');
  #buttons = new Map();

  constructor() {
    const group = document.getElementById('filters');
    for (const state of states) {
      const count = el('span', { class: 'count' });
      const button = el('button', { type: 'button', 'aria-pressed': String(state === 'all'), onclick: () => this.#choose(state) },
        state[0].toUpperCase() + state.slice(1), count);
      this.#buttons.set(state, { button, count });
      group.append(button);
    }
    document.getElementById('search').addEventListener('input', (e) => {
      this.#text = e.target.value.trim().toLowerCase();
      this.paint();
    });
    setInterval(() => this.paint(), 5_000); // the words for times
    this.paint();
  }

  update(rows, snapshot) {
    if (snapshot) {
      this.#rows.clear();
      this.#loaded = true;
    }
    for (const row of rows) this.#rows.set(row.workflow_id, row);
    this.paint();
  }

  row(id) { return this.#rows.get(id); }

  select(id) {
    this.#selected = id;
    this.paint();
  }

  #choose(state) {
    this.#filter = state;
    for (const [name, { button }] of this.#buttons) setAttr(button, 'aria-pressed', name === state);
    this.paint();
  }

  paint() {
    if (this.#painting) return;
    this.#painting = true;
    requestAnimationFrame(() => {
      this.#painting = false;
      this.#paint();
    });
  }

  #paint() {
    const counts = { all: 0, running: 0, failed: 0, completed: 0, cancelled: 0 };
    const visible = [];
    for (const row of this.#rows.values()) {
      const state = row.state === 'created' ? 'running' : row.state ?? 'running';
      counts.all += 1;
      counts[state] = (counts[state] ?? 0) + 1;
      if (this.#filter !== 'all' && this.#filter !== state) continue;
      if (this.#text && !`${row.name ?? ''} ${row.workflow_id} ${row.reason ?? ''}`.toLowerCase().includes(this.#text)) continue;
      visible.push(row);
    }
    for (const [name, { count }] of this.#buttons) setText(count, String(counts[name] ?? 0));
    const born = (row) => row.created_at ?? row.started_at ?? row.updated_at ?? '';
    visible.sort((a, b) => (born(a) < born(b) ? 1 : born(a) > born(b) ? -1 : a.workflow_id < b.workflow_id ? 1 : -1));

    const keep = new Set();
    let place = this.#root.firstChild;
    for (const row of visible.slice(0, shown)) {
      keep.add(row.workflow_id);
      let node = this.#nodes.get(row.workflow_id);
      if (!node) {
        node = this.#make(row.workflow_id);
        this.#nodes.set(row.workflow_id, node);
      }
      this.#fill(node, row);
      if (node.item === place) place = place.nextSibling;
      else this.#root.insertBefore(node.item, place);
    }
    for (const [id, node] of this.#nodes) {
      if (keep.has(id)) continue;
      node.item.remove();
      this.#nodes.delete(id);
    }
    this.#say(visible.length);
    setText(document.getElementById('totals'), this.#loaded && counts.all ? `${counts.running} running · ${counts.all} in all` : '');
  }

  #say(n) {
    this.#empty.hidden = n > 0;
    if (n > 0) return;
    let title = 'Loading workflows', words = '';
    if (this.#loaded && this.#rows.size === 0) {
      title = 'No workflows yet';
      words = 'Start one with "agentctl run FILE" and it shows here at once.';
    } else if (this.#loaded) {
      title = 'Nothing matches';
      words = 'Another state or fewer letters may find it.';
    }
    this.#empty.replaceChildren(el('strong', {}, title), el('span', {}, words));
  }

  #make(id) {
    const name = el('span', { class: 'name' });
    const chip = el('span', { class: 'chip' });
    const line = el('span', { class: 'line' });
    const when = el('time', { class: 'when' });
    const dots = el('span', { class: 'dots', 'aria-hidden': 'true' }, ...stages.map(() => el('i')));
    const bar = el('progress', { max: 100, 'aria-label': 'Progress' });
    const link = el('a', { href: `#${encodeURIComponent(id)}` },
      el('span', { class: 'first' }, name, chip),
      el('span', { class: 'second' }, line, when),
      el('span', { class: 'third' }, bar, dots));
    return { item: el('li', {}, link), link, name, chip, line, when, dots, bar };
  }

  #fill(node, row) {
    const state = row.state ?? 'running';
    setAttr(node.item, 'data-state', state);
    setAttr(node.link, 'aria-current', row.workflow_id === this.#selected);
    setText(node.name, row.name || row.workflow_id);
    setText(node.chip, state);
    const percent = Number(row.percent ?? 0);
    node.bar.value = percent;
    let words = row.workflow_id;
    if (state === 'running') words = [row.stage, `${percent} %`, row.message].filter(Boolean).join(' · ');
    else if (state === 'failed' || state === 'cancelled') words = [row.stage, row.reason].filter(Boolean).join(': ');
    else if (state === 'completed') words = `done in ${duration(Number(row.duration_ms))}`;
    setText(node.line, words);
    setText(node.when, ago(row.finished_at || row.started_at || row.created_at || row.updated_at));
    stages.forEach((stage, i) => {
      const at = row[stage] ?? 'waiting';
      setAttr(node.dots.children[i], 'data-stage', at === 'running' && row.finished_at ? 'stopped' : at);
    });
  }
}
