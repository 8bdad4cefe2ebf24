// The stages as a row of cards: what each does, how long, how far, the how-manieth try.
import { el, setAttr, setText } from '../lib/dom.js';
import { result, stages } from '../lib/event.js';
import { duration, running } from '../lib/format.js';

const words = { waiting: 'waiting', running: 'running', done: 'done', failed: 'failed', stopped: 'stopped', skipped: 'not reached' };

export class Pipeline {
  root = el('ol', { class: 'pipeline', 'aria-label': 'Stages' });
  #cards = new Map();

  constructor() {
    for (const name of stages) {
      const card = {
        words: el('span', { class: 'words' }), took: el('span', { class: 'took' }), tries: el('span', { class: 'tries' }),
        says: el('p', { class: 'says' }), bar: el('progress', { max: 100, value: 0, 'aria-label': `${name} progress` }),
      };
      card.item = el('li', { 'data-stage': 'waiting' },
        el('span', { class: 'mark', 'aria-hidden': 'true' }), el('strong', {}, name), card.took,
        el('span', { class: 'under' }, card.words, card.tries), card.says, card.bar);
      this.#cards.set(name, card);
      this.root.append(card.item);
    }
  }

  // paint shows what the events say, and where they are missing what the coordinator says (view).
  paint(story, view, ended) {
    for (const [name, card] of this.#cards) {
      const s = merged(story.stage[name], view?.stages?.find((v) => v.name === name));
      let state = s.state;
      if (ended && state === 'running') state = 'stopped';
      if (ended && state === 'waiting') state = 'skipped';
      setAttr(card.item, 'data-stage', state);
      setText(card.words, words[state] ?? state);
      const live = state === 'running' && s.started ? Math.max(0, Date.now() - s.started) : undefined;
      setText(card.took, live !== undefined ? running(live) : duration(s.ms));
      setText(card.tries, s.attempt > 1 ? `try ${s.attempt}` : '');
      setAttr(card.tries, 'title', s.tries.map((t) => `try ${t.attempt ?? '?'}: ${t.state} ${t.code ?? ''}`).join('\n'));
      setText(card.says, state === 'running' ? s.message ?? '' : state === 'failed' ? s.code ?? '' : result(name, s.summary));
      card.bar.value = state === 'done' ? 100 : s.percent ?? 0;
    }
  }
}

const states = { pending: 'waiting', running: 'running', completed: 'done', failed: 'failed', cancelled: 'stopped' };

function merged(s, view) {
  if (s.state !== 'waiting' || !view || view.state === 'pending') return s;
  const started = Date.parse(view.started_at);
  return { ...s, state: states[view.state] ?? 'waiting', started, ms: Date.parse(view.finished_at) - started, percent: view.percent,
    attempt: view.attempt, message: view.message, code: view.code, summary: view.summary };
}
