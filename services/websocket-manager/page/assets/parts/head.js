// The head of a workflow: name, state, progress, why it failed, and what can be done with it.
import { call, workflowPath } from '../lib/api.js';
import { el, note, outside, setAttr, setText } from '../lib/dom.js';
import { duration, moment, running } from '../lib/format.js';
import { workflowAddress } from '../lib/route.js';
import { copyButton } from './copy.js';
import { confirm } from './dialog.js';
import { stateOf } from './rows.js';

export class Head {
  #id;
  #refresh;
  #title = el('h1', {});
  #chip = el('span', { class: 'chip' });
  #facts = el('dl', { class: 'facts' });
  #bar = el('progress', { max: 100, value: 0, 'aria-label': 'Progress' });
  #percent = el('span', { class: 'percent' });
  #why = el('div', { class: 'reason', hidden: true });
  #whyText = el('p', {});
  #read = el('button', { type: 'button', class: 'small', hidden: true }, 'Open the report');
  #result = el('p', { class: 'result', hidden: true });
  #trouble = el('div', {});
  #cancel = el('button', { type: 'button', id: 'cancel', hidden: true, onclick: () => this.#askCancel() }, 'Cancel');
  #again = el('button', { type: 'button', id: 'run-again', hidden: true, onclick: () => this.#runAgain() }, 'Run again');
  #now = {};
  root;

  constructor(id, openReport, refresh) {
    this.#id = id;
    this.#refresh = refresh;
    this.#why.append(this.#whyText, this.#read);
    this.#read.addEventListener('click', () => openReport(this.#now.stage));
    this.root = el('header', { class: 'top-of-workflow' },
      el('a', { class: 'back', href: '#/' }, 'All workflows'),
      el('div', { class: 'headline' }, this.#title, this.#chip, el('span', { class: 'actions' }, this.#again, this.#cancel)),
      el('p', { class: 'ids' }, el('code', {}, id), copyButton(id)),
      this.#facts, el('div', { class: 'overall' }, this.#bar, this.#percent), this.#result, this.#why, this.#trouble);
  }

  // paint joins what is known, the newest word of the live view first, and returns it.
  paint(row, view, story) {
    const known = row ?? view ?? {};
    const state = stateOf(known);
    const stage = known.stage, started = Date.parse(known.created_at ?? known.started_at), ended = Boolean(known.finished_at);
    this.#now = { state, stage, ended };
    setText(this.#title, String(known.name || this.#id));
    setAttr(this.root, 'data-state', state);
    setText(this.#chip, state);
    const percent = Number(known.percent ?? 0);
    this.#bar.value = percent;
    setText(this.#percent, `${percent} %`);
    const took = ended ? Number(known.duration_ms ?? Date.parse(known.finished_at) - started) : Date.now() - started;
    this.#say({ created: Number.isFinite(started) ? moment(started) : '', [ended ? 'took' : 'running for']: ended ? duration(took) : Number.isFinite(took) ? running(took) : '',
      by: view?.created_by ?? '', tenant: known.tenant ?? '' });
    this.#why.hidden = !known.reason || state === 'completed';
    setText(this.#whyText, [known.code, known.reason].filter(Boolean).join(': '));
    const artifacts = story.stage[stage]?.artifacts ?? view?.stages?.find((s) => s.name === stage)?.artifacts ?? [];
    this.#read.hidden = state !== 'failed' || artifacts.length === 0;
    this.#live((story.stage.deployment.summary ?? view?.stages?.find((s) => s.name === 'deployment')?.summary)?.url, state);
    this.#cancel.hidden = ended || !view;
    this.#again.hidden = !ended || !view;
    return this.#now;
  }

  #live(url, state) {
    this.#result.hidden = !url || state !== 'completed';
    if (!this.#result.hidden && !this.#result.firstChild) this.#result.append('Live at ', outside(url));
  }

  #say(facts) {
    const wanted = Object.entries(facts).filter(([, v]) => v !== '');
    if (this.#facts.children.length !== wanted.length) this.#facts.replaceChildren(...wanted.map(() => el('div', {}, el('dt'), el('dd'))));
    wanted.forEach(([name, value], i) => {
      setText(this.#facts.children[i].firstChild, name);
      setText(this.#facts.children[i].lastChild, String(value));
    });
  }

  async #askCancel() {
    const yes = await confirm({ title: 'Cancel this workflow?', yes: 'Cancel it',
      words: `What ${this.#title.textContent} started is stopped within a second. It cannot go on from there; it can be run again from the beginning.` });
    if (yes) await this.#do(this.#cancel, '/cancel', {}, () => this.#refresh());
  }

  #runAgain() { return this.#do(this.#again, '/run-again', undefined, (view) => { location.hash = workflowAddress(view.id); }); }

  async #do(button, path, body, then) {
    button.disabled = true;
    this.#trouble.replaceChildren();
    try {
      then(await call('POST', workflowPath(this.#id, path), { body }));
    } catch (err) {
      this.#trouble.replaceChildren(note('bad', `${button.textContent} did not work`, err.words ?? err.message));
    }
    button.disabled = false;
  }
}
