// One workflow: its head, its stages as a pipeline, its timeline. Events come in order, each once.
import { el, setAttr, setText } from './dom.js';
import { clock, duration, outcome, summary } from './format.js';
import { stages } from './list.js';

export class Workflow {
  #root = document.getElementById('workflow');
  #hint = document.getElementById('nothing');
  #parts = null;
  #stage = null; // name -> {state, attempt, percent, started, ms, reason}
  #queue = [];
  #painting = false;
  #count = 0;
  #done = false;
  #clock = setInterval(() => this.#paintStages(), 1_000);

  open(id, row) {
    this.#root.hidden = !id;
    this.#hint.hidden = Boolean(id);
    document.body.classList.toggle('open', Boolean(id));
    if (!id) return;
    this.#reset(id);
    this.row(row);
  }

  #reset(id) {
    this.#stage = Object.fromEntries(stages.map((s) => [s, { state: 'waiting' }]));
    this.#queue = [];
    this.#count = 0;
    this.#done = false;
    const p = {
      title: el('h1'), chip: el('span', { class: 'chip' }), bar: el('progress', { max: 100, value: 0, 'aria-label': 'Progress' }),
      percent: el('span', { class: 'percent' }), reason: el('p', { class: 'reason', hidden: true }),
      took: el('span', { class: 'took' }), pipeline: el('ol', { class: 'pipeline', 'aria-label': 'Stages' }),
      timeline: el('ol', { class: 'timeline' }), count: el('span', { class: 'count' }), wait: el('div', { class: 'empty' }),
      a2a: el('input', { type: 'checkbox', onchange: () => this.#parts.timeline.classList.toggle('quiet', !this.#parts.a2a.checked) }),
    };
    p.stage = Object.fromEntries(stages.map((s) => {
      const words = el('span', { class: 'words' });
      const bar = el('progress', { max: 100, value: 0, 'aria-label': `${s} progress` });
      const item = el('li', { 'data-stage': 'waiting' }, el('span', { class: 'mark' }), el('strong', {}, s), words, bar);
      p.pipeline.append(item);
      return [s, { item, words, bar }];
    }));
    p.a2a.checked = true;
    p.wait.append(el('strong', {}, 'Loading its events'));
    this.#root.replaceChildren(
      el('header', {},
        el('a', { class: 'back', href: '#' }, 'All workflows'),
        el('div', { class: 'headline' }, p.title, p.chip),
        el('p', { class: 'ids' }, el('code', {}, id), p.took),
        el('div', { class: 'overall' }, p.bar, p.percent), p.reason),
      p.pipeline,
      el('div', { class: 'heading' }, el('h2', {}, 'Timeline'), p.count, el('label', {}, p.a2a, 'requests and responses')),
      p.timeline, p.wait);
    setText(p.title, id);
    this.#parts = p;
  }

  // row is the list's view of it: it knows the name and the end also when old events are gone.
  row(row) {
    const p = this.#parts;
    if (!p || !row) return;
    const state = row.state ?? 'running';
    this.#done = Boolean(row.finished_at);
    setText(p.title, row.name || row.workflow_id);
    setText(p.chip, state);
    setAttr(this.#root, 'data-state', state);
    p.bar.value = Number(row.percent ?? 0);
    setText(p.percent, `${row.percent ?? 0} %`);
    p.reason.hidden = !row.reason;
    setText(p.reason, [row.code, row.reason].filter(Boolean).join(': '));
    setText(p.took, row.finished_at ? `took ${duration(Number(row.duration_ms))}` : '');
    for (const s of stages) if (row[s] && this.#stage[s].state === 'waiting') this.#stage[s].state = row[s];
    this.#paintStages();
  }

  begin(reset) {
    if (reset) this.#parts.timeline.replaceChildren();
  }

  event(seq, event) {
    this.#learn(event);
    this.#add(el('li', { 'data-outcome': outcome(event.type), 'data-kind': event.type.startsWith('a2a.') ? 'a2a' : undefined }, this.#entry(seq, event)));
  }

  gap(from, to) {
    const n = to - from + 1;
    this.#add(el('li', { class: 'gap' }, n === 1 ? `Event ${from} is no longer kept` : `Events ${from} to ${to} are no longer kept`));
  }

  live() {
    if (this.#count === 0) this.#parts.wait.replaceChildren(el('strong', {}, 'No events yet'), el('span', {}, 'The first one shows here as it happens.'));
  }

  #entry(seq, event) {
    const details = el('details', {}, el('summary', {},
      el('span', { class: 'seq' }, String(seq)),
      el('time', { datetime: event.timestamp, title: event.timestamp }, clock(event.timestamp)),
      el('span', { class: 'type' }, event.type),
      el('span', { class: 'what' }, summary(event))));
    details.addEventListener('toggle', () => { // the text is made when it is looked at
      if (details.open && details.children.length === 1) details.append(el('pre', { tabindex: 0 }, JSON.stringify(event, null, 2)));
    });
    return details;
  }

  #add(item) {
    this.#count += 1;
    this.#queue.push(item);
    if (this.#painting) return;
    this.#painting = true;
    requestAnimationFrame(() => {
      this.#painting = false;
      const p = this.#parts;
      p.wait.hidden = true;
      p.timeline.prepend(...this.#queue.reverse()); // newest first
      this.#queue = [];
      setText(p.count, String(this.#count));
      this.#paintStages();
    });
  }

  #learn(event) {
    const d = event.data ?? {};
    const [name, verb] = event.type.split('.');
    const at = Date.parse(event.timestamp);
    if (event.type === 'workflow.progressed' && this.#stage[d.stage]) {
      const s = this.#stage[d.stage];
      s.percent = d.stage_percent;
      if (d.attempt) s.attempt = d.attempt;
      return;
    }
    const s = this.#stage[name];
    if (!s) return;
    if (d.attempt) s.attempt = d.attempt;
    if (verb === 'started') Object.assign(s, { state: 'running', started: at, ms: undefined, percent: 0, reason: undefined });
    else Object.assign(s, { state: verb === 'failed' ? 'failed' : 'done', ms: d.duration_ms, percent: 100, reason: d.code });
  }

  #paintStages() {
    if (!this.#parts) return;
    for (const name of stages) {
      const s = this.#stage[name];
      const { item, words, bar } = this.#parts.stage[name];
      const state = s.state === 'running' && this.#done ? 'stopped' : s.state;
      setAttr(item, 'data-stage', state);
      bar.value = s.percent ?? (state === 'done' ? 100 : 0);
      const ms = s.ms ?? (state === 'running' && s.started ? Math.floor((Date.now() - s.started) / 1000) * 1000 : undefined);
      const parts = [state === 'done' ? '' : s.reason ?? state, ms !== undefined && ms >= 0 ? duration(ms) : '', s.attempt > 1 ? `try ${s.attempt}` : ''];
      setText(words, parts.filter(Boolean).join(' · '));
    }
  }
}
