// What the stages handed on: each can be downloaded, reports can be read in place.
import { ask, workflowPath } from '../lib/api.js';
import { bones, el, note, setAttr } from '../lib/dom.js';
import { stages } from '../lib/event.js';
import { bytes } from '../lib/format.js';
import { kindOf, readable, show, titles } from './report.js';

export class Artifacts {
  #id;
  #known = new Map(); // key -> its card
  #cards = el('ul', { class: 'artifacts' });
  #reading = null; // key of the one that is read
  #panel = el('div', { class: 'panel', hidden: true });
  root = el('section', { class: 'reports', hidden: true, 'aria-label': 'Artifacts and reports' },
    el('div', { class: 'heading' }, el('h2', {}, 'Artifacts')), this.#cards, this.#panel);

  constructor(id) { this.#id = id; }

  // paint takes them from the events, and for stages whose events are gone from the coordinator's view.
  paint(story, view) {
    for (const stage of stages) {
      const list = story.stage[stage].artifacts ?? view?.stages?.find((s) => s.name === stage)?.artifacts ?? [];
      for (const a of list) if (a && typeof a === 'object') this.#add(stage, a);
    }
    this.root.hidden = this.#known.size === 0;
  }

  // open reads the report of a stage, when there is one.
  open(stage) {
    const key = [...this.#known.keys()].findLast((k) => k.startsWith(`${stage} `) && this.#known.get(k).button);
    if (key && this.#reading !== key) this.#known.get(key).button.click();
    return Boolean(key);
  }

  #add(stage, a) {
    const key = `${stage} ${a.sha256} ${a.name}`;
    if (this.#known.has(key)) return;
    const kind = kindOf(a), small = !(Number(a.size) > readable);
    const button = kind && small && el('button', { type: 'button', class: 'small', 'aria-expanded': 'false', onclick: () => this.#read(key, a) }, titles[kind]);
    const item = el('li', { title: `sha256 ${a.sha256}` },
      el('span', { class: 'name' }, String(a.name ?? 'without a name')),
      el('span', { class: 'soft' }, `${stage} · ${bytes(Number(a.size))}`),
      el('span', { class: 'actions' }, button, el('button', { type: 'button', class: 'small quiet', onclick: () => this.#download(a) }, 'Download')));
    this.#known.set(key, { item, button });
    this.#cards.append(item);
  }

  #fetch(a) { return ask('GET', workflowPath(this.#id, `/artifacts/${encodeURIComponent(a.sha256)}`)); }

  async #read(key, a) {
    const again = this.#reading === key;
    if (this.#reading) setAttr(this.#known.get(this.#reading).button, 'aria-expanded', 'false');
    this.#reading = again ? null : key;
    this.#panel.hidden = again;
    this.#panel.replaceChildren(bones(3, 'Loading the report'));
    if (again) return;
    setAttr(this.#known.get(key).button, 'aria-expanded', 'true');
    let content;
    try {
      content = show(a, await (await this.#fetch(a)).text());
    } catch (err) {
      content = problem('could not be read', a, err);
    }
    if (this.#reading === key) this.#panel.replaceChildren(el('h3', {}, String(a.name)), content);
  }

  // download goes by a blob: a link of its own could not carry the token.
  async #download(a) {
    try {
      const url = URL.createObjectURL(await (await this.#fetch(a)).blob());
      el('a', { href: url, download: fileName(a) }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch (err) {
      if (this.#reading) setAttr(this.#known.get(this.#reading).button, 'aria-expanded', 'false');
      this.#reading = null;
      this.#panel.hidden = false;
      this.#panel.replaceChildren(problem('could not be downloaded', a, err));
    }
  }
}

// fileName: what comes as a packed tree is named so.
function fileName(a) {
  const name = String(a.name || 'artifact').replace(/[^\w.-]+/g, '_');
  return /gzip|tar/.test(a.media_type ?? '') && !/\.(gz|tgz|tar)$/.test(name) ? `${name}.tar.gz` : name;
}

function problem(what, a, err) {
  return note('bad', `${a.name} ${what}`, err.status === 404 ? 'It is no longer kept, or never was.' : err.words ?? err.message);
}
