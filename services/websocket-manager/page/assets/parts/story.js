// What is known of one workflow by its events: each number once, in order, holes told; and what they say
// of its stages. It knows no elements.
import { stages } from '../lib/event.js';

export class Story {
  items = []; // {seq, event} or {gap: true, from, to, state}, in order of their numbers
  count = 0; // events
  stage = {};

  constructor() { this.clear(); }

  clear() {
    this.items = [];
    this.count = 0;
    this.stage = Object.fromEntries(stages.map((s) => [s, { state: 'waiting', tries: [] }]));
  }

  get last() {
    const item = this.items.at(-1);
    return item ? item.seq ?? item.to : 0;
  }

  // add returns the new item, null when the number is known already.
  add(seq, event) {
    if (seq <= this.last) return null;
    const item = { seq, event };
    this.items.push(item);
    this.count += 1;
    this.#learn(event);
    return item;
  }

  gap(from, to) {
    const item = { gap: true, from: Math.max(from, this.last + 1), to, state: 'asked' };
    if (item.from > item.to) return null;
    this.items.push(item);
    return item;
  }

  // fill puts what the history has in a gap's place; what it has not stays a gap.
  fill(gap, events, gaps) {
    const at = this.items.indexOf(gap);
    if (at < 0) return;
    const inside = (seq) => seq >= gap.from && seq <= gap.to;
    const items = events.filter((e) => inside(e.seq)).map(({ seq, event }) => ({ seq, event }));
    for (const g of gaps) items.push({ gap: true, from: Math.max(g.from, gap.from), to: Math.min(g.to, gap.to), state: 'lost' });
    items.sort((a, b) => (a.seq ?? a.from) - (b.seq ?? b.from));
    this.items.splice(at, 1, ...items);
    this.#again();
  }

  // again reads all from the beginning: older events must not overrule newer ones.
  #again() {
    const items = this.items;
    this.clear();
    this.items = items;
    for (const { event } of items) {
      if (!event) continue;
      this.count += 1;
      this.#learn(event);
    }
  }

  #learn(event) {
    const d = event.data ?? {};
    const [name, verb] = event.type.split('.');
    const at = Date.parse(event.timestamp);
    if (event.type === 'workflow.progressed' && this.stage[d.stage]) {
      const s = this.stage[d.stage];
      s.percent = Number(d.stage_percent) || 0;
      s.message = d.message;
      if (d.attempt) s.attempt = d.attempt;
      return;
    }
    const s = stages.includes(name) ? this.stage[name] : null;
    if (!s) return;
    if (d.attempt) s.attempt = d.attempt;
    if (verb === 'started') {
      Object.assign(s, { state: 'running', started: at, ms: undefined, percent: 0, message: '', code: undefined, worker: d.worker });
      return;
    }
    const state = verb !== 'failed' ? 'done' : d.code === 'cancelled' ? 'stopped' : 'failed';
    const ms = Number.isFinite(Number(d.duration_ms)) ? Number(d.duration_ms) : at - s.started;
    Object.assign(s, { state, ms, percent: state === 'done' ? 100 : s.percent, message: '', code: d.code, reason: d.reason,
      summary: d.summary, artifacts: Array.isArray(d.artifacts) ? d.artifacts : [] });
    s.tries.push({ attempt: d.attempt, state, ms, code: d.code, reason: d.reason });
  }
}
