// A consumer group: how far behind it is, now and in the last minutes.
import { el, setAttr, setText } from '../lib/dom.js';
import { count, duration } from '../lib/format.js';
import { Chart } from './chart.js';

const most = 120; // samples: 4 minutes at one every 2 s

export class Group {
  #lag = new Chart('entries not yet delivered, last minutes');
  #age = new Chart('age of the oldest entry, last minutes');
  #lags = [];
  #ages = [];
  #figures = { lag: el('strong', {}), age: el('strong', {}) };
  #chip = el('span', { class: 'chip' });
  #members = el('span', {});
  #pending = el('span', {});
  #letters;
  root;

  constructor(name, choose) { // choose(name) shows its dead letters; null for who may not see them
    this.#letters = choose ? el('button', { type: 'button', class: 'link', onclick: () => choose(name) }) : el('span', {});
    this.root = el('li', { class: 'group' },
      el('div', { class: 'headline' }, el('h3', {}, name), this.#chip),
      el('div', { class: 'charts' },
        el('figure', {}, el('figcaption', {}, 'lag', this.#figures.lag), this.#lag.root),
        el('figure', {}, el('figcaption', {}, 'oldest', this.#figures.age), this.#age.root)),
      el('p', { class: 'soft figures' }, this.#members, this.#pending, this.#letters));
  }

  add(g) {
    const lag = Number(g.lag) || 0, age = Number(g.oldest_age_seconds) || 0;
    for (const [list, value] of [[this.#lags, lag], [this.#ages, age]]) {
      list.push(value);
      if (list.length > most) list.shift();
    }
    this.#lag.draw(this.#lags, 10);
    this.#age.draw(this.#ages, 1);
    setText(this.#figures.lag, lag.toLocaleString('en'));
    setText(this.#figures.age, age > 0 ? duration(age * 1000) : '0 s');
    const state = g.members === 0 ? 'nobody reads' : g.suspect > 0 ? 'suspect' : age > 30 ? 'behind' : 'well';
    setText(this.#chip, state);
    setAttr(this.root, 'data-health', state);
    setText(this.#members, count(Number(g.members) || 0, 'member') + (g.suspect > 0 ? `, ${g.suspect} suspect` : ''));
    setText(this.#pending, `${Number(g.pending || 0).toLocaleString('en')} pending`);
    setText(this.#letters, count(Number(g.dead_letters) || 0, 'dead letter'));
    this.#letters.classList.toggle('bad', g.dead_letters > 0);
  }
}
