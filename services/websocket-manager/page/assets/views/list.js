// All workflows, newest first, live: filtered by state and text, at most one paint per frame.
import { el, empty, bones, setAttr, setText } from '../lib/dom.js';
import { shortcut } from '../lib/keys.js';
import { remember } from '../lib/route.js';
import { Row } from '../parts/row.js';

const states = ['all', 'running', 'failed', 'completed', 'cancelled'];
const step = 100; // rows painted at first, and more on request

export class List {
  title = 'Workflows';
  #rows;
  #nodes = new Map(); // id -> Row
  #filter;
  #limit = step;
  #frame = 0;
  #buttons = new Map();
  #search = el('input', { id: 'search', type: 'search', placeholder: 'Find by name, id or reason', 'aria-label': 'Find a workflow', autocomplete: 'off' });
  #list = el('ol', { class: 'rows', id: 'rows' });
  #rest = el('div', {});
  #more = el('button', { type: 'button', class: 'more', hidden: true, onclick: () => { this.#limit += step; this.paint(); } });
  #ends;
  root;

  constructor(rows, parameters) {
    this.#rows = rows;
    const state = parameters.get('state');
    this.#filter = states.includes(state) ? state : 'all';
    this.#search.value = parameters.get('find') ?? '';
    this.#search.addEventListener('input', () => this.#changed());
    const group = el('div', { class: 'filters', role: 'group', 'aria-label': 'State' }, states.map((name) => this.#button(name)));
    this.root = el('section', { class: 'list' }, el('h1', { class: 'hidden' }, 'Workflows'),
      el('div', { class: 'tools' }, group, this.#search),
      el('div', { class: 'table' },
        el('div', { class: 'head', 'aria-hidden': 'true' }, ['State', 'Workflow', 'What happens', 'Stages', 'Duration', 'Created'].map((t) => el('span', {}, t))),
        this.#list, this.#rest), this.#more);
    const clock = setInterval(() => this.paint(), 1_000); // the words for times
    this.#ends = [() => clearInterval(clock), rows.listen(() => this.paint()),
      shortcut('/', 'Find', () => this.#search.focus()),
      shortcut('j', 'Next row', () => this.#step(1)), shortcut('k', 'Row before', () => this.#step(-1))];
    this.#paint();
  }

  close() {
    cancelAnimationFrame(this.#frame);
    for (const end of this.#ends) end();
  }

  #button(name) {
    const count = el('span', { class: 'count' });
    const button = el('button', { type: 'button', 'aria-pressed': String(name === this.#filter), onclick: () => {
      this.#filter = name;
      for (const [other, b] of this.#buttons) setAttr(b.button, 'aria-pressed', other === name);
      this.#changed();
    } }, name[0].toUpperCase() + name.slice(1), count);
    this.#buttons.set(name, { button, count });
    return button;
  }

  #changed() {
    remember('/', { state: this.#filter === 'all' ? '' : this.#filter, find: this.#search.value.trim() });
    this.#limit = step;
    this.paint();
  }

  #step(by) {
    const links = [...this.#list.querySelectorAll('a')];
    const at = links.indexOf(document.activeElement);
    links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
  }

  paint() {
    this.#frame ||= requestAnimationFrame(() => this.#paint());
  }

  #paint() {
    this.#frame = 0;
    const { counts, found } = this.#rows.select(this.#filter, this.#search.value.trim().toLowerCase());
    for (const [name, { count }] of this.#buttons) setText(count, this.#rows.loaded ? String(counts[name]) : '');
    const keep = new Set();
    let place = this.#list.firstChild;
    for (const row of found.slice(0, this.#limit)) {
      keep.add(row.workflow_id);
      let node = this.#nodes.get(row.workflow_id);
      if (!node) this.#nodes.set(row.workflow_id, node = new Row(row.workflow_id));
      node.fill(row);
      if (node.item === place) place = place.nextSibling;
      else this.#list.insertBefore(node.item, place);
    }
    for (const [id, node] of this.#nodes) {
      if (keep.has(id)) continue;
      node.item.remove();
      this.#nodes.delete(id);
    }
    this.root.classList.toggle('stale', this.#rows.stale);
    this.#more.hidden = found.length <= this.#limit;
    setText(this.#more, `Show more (${found.length - this.#limit} left)`);
    this.#say(found.length === 0 ? (this.#rows.loaded ? (this.#rows.size ? 'nothing' : 'none') : 'loading') : '');
  }

  #said = null;
  #say(what) {
    if (this.#said === what) return;
    this.#said = what;
    this.#rest.replaceChildren(...{
      '': [], loading: [bones(8, 'Loading workflows')],
      nothing: [empty('Nothing matches', 'Another state or fewer letters may find it.')],
      none: [empty('No workflows yet', 'Start one here, or with "agentctl run FILE": it shows at once.', el('a', { class: 'button primary', href: '#/new' }, 'New workflow'))],
    }[what]);
  }
}
