// A field of a form: its label, its input, and what is wrong with it.
import { el, setAttr, setText } from '../lib/dom.js';

let fields = 0;

export class Field {
  input;
  #error;
  root;

  // location is how the API names it, e.g. body.stages.audit.attempts.
  constructor(location, label, hint, input) {
    const id = `field-${++fields}`;
    this.location = location;
    this.input = input;
    input.id = id;
    input.name = location;
    this.#error = el('p', { class: 'wrong', id: `${id}-wrong`, role: 'alert' });
    setAttr(input, 'aria-describedby', `${id}-wrong${hint ? ` ${id}-hint` : ''}`);
    input.addEventListener('input', () => this.wrong(''));
    this.root = el('div', { class: 'field' }, el('label', { for: id }, label), input, hint && el('p', { class: 'soft', id: `${id}-hint` }, hint), this.#error);
  }

  get value() { return this.input.value.trim(); }

  wrong(words) {
    setText(this.#error, words);
    setAttr(this.input, 'aria-invalid', Boolean(words));
  }

  // takes reports whether an error at that location is this field's.
  takes(location) { return location === this.location || location.startsWith(`${this.location}.`) || location.startsWith(`${this.location}[`); }
}
