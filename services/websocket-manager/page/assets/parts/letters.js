// Dead letters: what a group could not handle, and why; given back to it, or dropped.
import { call } from '../lib/api.js';
import { bones, el, empty, note, setText } from '../lib/dom.js';
import { count } from '../lib/format.js';
import { confirm } from './dialog.js';
import { letter } from './letter.js';

const limit = 100; // of each group
const classes = ['malformed', 'permanent', 'panic', 'timeout', 'crash', 'error'];

export class Letters {
  #group = el('select', { 'aria-label': 'Group', onchange: () => this.load() }, el('option', { value: '' }, 'all groups'));
  #class = el('select', { 'aria-label': 'Class', onchange: () => this.load() }, el('option', { value: '' }, 'all classes'), classes.map((c) => el('option', { value: c }, c)));
  #replay = el('button', { type: 'button', class: 'small', disabled: true, onclick: () => this.#act('replay', this.#chosen()) }, 'Replay');
  #drop = el('button', { type: 'button', class: 'small', disabled: true, onclick: () => this.#act('drop', this.#chosen()) }, 'Drop');
  #all = el('input', { type: 'checkbox', 'aria-label': 'Choose all', onchange: () => this.#chooseAll() });
  #words = el('span', { class: 'soft' });
  #said = el('div', {});
  #list = el('ol', { class: 'letters' });
  #known = []; // {letter, item, box}
  #turn = 0;
  root = el('div', {},
    el('div', { class: 'heading' }, el('h2', {}, 'Dead letters'), this.#words,
      el('span', { class: 'choices' }, this.#group, this.#class, el('button', { type: 'button', class: 'small quiet', onclick: () => this.load() }, 'Look again'))),
    el('div', { class: 'bulk' }, el('label', {}, this.#all, 'all'), this.#replay, this.#drop), this.#said, this.#list);

  // groups are those that can be chosen.
  groups(names) {
    const had = [...this.#group.options].slice(1).map((o) => o.value);
    if (had.join() === names.join()) return;
    const value = this.#group.value;
    this.#group.replaceChildren(el('option', { value: '' }, 'all groups'), ...names.map((n) => el('option', { value: n }, n)));
    this.#group.value = names.includes(value) ? value : '';
  }

  choose(group) {
    this.#group.value = group;
    this.root.scrollIntoView({ block: 'start' });
    this.load();
  }

  async load() {
    const turn = ++this.#turn;
    if (this.#known.length === 0) this.#list.replaceChildren(bones(2, 'Loading dead letters'));
    const query = new URLSearchParams({ limit: String(limit) });
    if (this.#group.value) query.set('group', this.#group.value);
    if (this.#class.value) query.set('class', this.#class.value);
    let nodes;
    try {
      const { dead_letters: found } = await call('GET', `v1/dead-letters?${query}`);
      if (turn !== this.#turn) return;
      // What was chosen and opened stays so.
      const chosen = new Set(this.#chosen().map(name));
      const open = new Set(this.#known.filter((k) => k.details.open).map((k) => name(k.letter)));
      this.#known = found.toSorted((a, b) => (a.died_at < b.died_at ? 1 : -1)).map((l) => letter(l, (verb) => this.#act(verb, [l]), () => this.#choice()));
      for (const k of this.#known) {
        k.box.checked = chosen.has(name(k.letter));
        if (open.has(name(k.letter))) k.open();
      }
      setText(this.#words, String(found.length));
      nodes = found.length ? this.#known.map((k) => k.item) : [empty('No dead letters', 'Every event that came was handled.')];
    } catch (err) {
      if (turn !== this.#turn) return;
      this.#known = [];
      nodes = [note('bad', 'Dead letters cannot be listed', err.words ?? err.message)];
    }
    this.#list.replaceChildren(...nodes);
    this.#choice();
  }

  #chosen() { return this.#known.filter((k) => k.box.checked).map((k) => k.letter); }

  #chooseAll() {
    for (const k of this.#known) k.box.checked = this.#all.checked;
    this.#choice();
  }

  #choice() {
    const n = this.#chosen().length;
    this.#all.checked = n > 0 && n === this.#known.length;
    this.root.querySelector('.bulk').hidden = this.#known.length === 0;
    for (const [button, verb] of [[this.#replay, 'Replay'], [this.#drop, 'Drop']]) {
      button.disabled = n === 0;
      setText(button, n ? `${verb} ${n}` : verb);
    }
  }

  async #act(verb, letters) {
    if (letters.length === 0) return;
    const what = count(letters.length, 'dead letter');
    if (verb === 'drop' && !await confirm({ title: `Drop ${what}?`, yes: 'Drop for good', words: 'What they held is deleted and can not be handled any more.' })) return;
    let done = 0, said;
    const missing = [];
    try {
      for (const [group, ids] of byGroup(letters)) {
        const answer = await call('POST', `v1/dead-letters/${verb}`, { body: { group, ids } });
        done += answer.done;
        missing.push(...answer.missing);
      }
      const words = missing.length ? `${missing.length} were not there any more.` : verb === 'replay' ? 'If handling fails again, they come back here.' : '';
      said = note('info', `${count(done, 'dead letter')} ${verb === 'replay' ? 'given back' : 'dropped'}`, words);
    } catch (err) {
      said = note('bad', `${verb === 'replay' ? 'Replay' : 'Drop'} did not work`, err.words ?? err.message);
    }
    await this.load();
    this.#said.replaceChildren(said); // with the list as it is now
  }
}

const name = (l) => `${l.group} ${l.id}`;

function byGroup(letters) {
  const groups = new Map();
  for (const l of letters) groups.set(l.group, [...(groups.get(l.group) ?? []), l.id]);
  return groups;
}
