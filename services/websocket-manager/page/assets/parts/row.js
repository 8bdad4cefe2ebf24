// One line of the list. It is changed in place, so that nothing jumps under the reader's hand.
import { el, setAttr, setText } from '../lib/dom.js';
import { stages } from '../lib/event.js';
import { ago, duration, moment, running } from '../lib/format.js';
import { workflowAddress } from '../lib/route.js';
import { born, stateOf } from './rows.js';

export class Row {
  #name = el('span', { class: 'name' });
  #id = el('code', { class: 'id' });
  #chip = el('span', { class: 'chip' });
  #line = el('span', { class: 'line' });
  #steps = el('span', { class: 'steps', role: 'img' }, stages.map(() => el('i')));
  #percent = el('span', { class: 'percent' });
  #took = el('span', { class: 'took' });
  #when = el('time', { class: 'when' });
  link;
  item;

  constructor(id) {
    this.link = el('a', { href: workflowAddress(id) },
      this.#chip, el('span', { class: 'who' }, this.#name, this.#id), this.#line,
      el('span', { class: 'at' }, this.#steps, this.#percent), this.#took, this.#when);
    this.item = el('li', {}, this.link);
    setText(this.#id, id);
  }

  fill(row) {
    const state = stateOf(row), ended = Boolean(row.finished_at), percent = Number(row.percent ?? 0);
    setAttr(this.item, 'data-state', state);
    setText(this.#name, String(row.name || row.workflow_id));
    setText(this.#chip, state);
    let words = '';
    if (state === 'running') words = [row.stage, row.attempt > 1 && `try ${row.attempt}`, row.message].filter(Boolean).join(' · ');
    else if (state !== 'completed') words = [row.stage, row.reason].filter(Boolean).join(': ');
    setText(this.#line, words);
    setAttr(this.#line, 'title', words);
    const stopped = (at) => (at === 'running' && ended) || (at === 'failed' && state === 'cancelled');
    const at = stages.map((stage) => (stopped(row[stage]) ? 'stopped' : row[stage] ?? 'waiting'));
    stages.forEach((stage, i) => setAttr(this.#steps.children[i], 'data-stage', at[i]));
    setAttr(this.#steps, 'aria-label', stages.map((stage, i) => `${stage} ${at[i]}`).join(', '));
    setText(this.#percent, `${percent} %`);
    const since = Date.parse(row.started_at ?? row.created_at);
    setText(this.#took, ended ? duration(Number(row.duration_ms)) : Number.isFinite(since) ? running(Math.max(0, Date.now() - since)) : '');
    setText(this.#when, ago(born(row)));
    setAttr(this.#when, 'title', moment(born(row)));
  }
}
