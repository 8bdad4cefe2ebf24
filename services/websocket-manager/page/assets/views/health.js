// How far the consumer groups are, asked every two seconds while this view is open, and the dead letters.
import { call } from '../lib/api.js';
import { bones, el, empty, note, setText } from '../lib/dom.js';
import { clock } from '../lib/format.js';
import { shortcut } from '../lib/keys.js';
import { session } from '../lib/session.js';
import { Group } from '../parts/group.js';
import { Letters } from '../parts/letters.js';

const every = 2_000; // ms

export class Health {
  title = 'Health';
  #groups = new Map();
  #list = el('ul', { class: 'groups' });
  #state = el('div', {}, bones(4, 'Loading groups'));
  #at = el('span', { class: 'soft' });
  #letters = session.operator ? new Letters() : null;
  #timer = 0;
  #closed = new AbortController();
  #ends;
  root;

  constructor() {
    this.root = el('section', { class: 'health' }, el('h1', { class: 'hidden' }, 'Health'),
      el('div', { class: 'heading' }, el('h2', {}, 'Consumer groups'), this.#at), this.#state, this.#list,
      this.#letters?.root ?? el('div', {}, el('div', { class: 'heading' }, el('h2', {}, 'Dead letters')),
        note('info', 'For operators', 'Dead letters hold events of all tenants, so only operators see them. Your token is not one of an operator.')));
    this.#ends = [shortcut('Escape', 'Back to all workflows', () => { location.hash = '#/'; })];
    this.#poll();
    this.#letters?.load();
  }

  close() {
    this.#closed.abort();
    clearTimeout(this.#timer);
    for (const end of this.#ends) end();
  }

  async #poll() {
    if (!document.hidden) await this.#ask();
    if (!this.#closed.signal.aborted) this.#timer = setTimeout(() => this.#poll(), every);
  }

  async #ask() {
    try {
      const { groups } = await call('GET', 'v1/groups', { signal: this.#closed.signal });
      this.#paint(groups);
      setText(this.#at, `as of ${clock(new Date()).slice(0, 8)}`);
      this.root.classList.remove('stale');
    } catch (err) {
      if (err.name === 'AbortError') return;
      this.root.classList.add('stale');
      this.#state.replaceChildren(note('bad', 'How far the groups are is not known', `${err.words ?? err.message} It is asked again every two seconds.`));
    }
  }

  #paint(groups) {
    this.#state.replaceChildren(...(groups.length ? [] : [empty('No groups', 'No service has begun to read yet.')]));
    const names = new Set(groups.map((g) => g.group));
    for (const [name, group] of this.#groups) {
      if (names.has(name)) continue;
      group.root.remove();
      this.#groups.delete(name);
    }
    for (const g of groups.toSorted((a, b) => (a.group < b.group ? -1 : 1))) {
      let group = this.#groups.get(g.group);
      if (!group) {
        group = new Group(g.group, this.#letters && ((name) => this.#letters.choose(name)));
        this.#groups.set(g.group, group);
        this.#list.append(group.root);
      }
      group.add(g);
    }
    this.#letters?.groups([...names].sort());
  }
}
