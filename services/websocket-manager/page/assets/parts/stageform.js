// The part of the form that is one stage's.
import { el } from '../lib/dom.js';
import { defaults, known } from './defaults.js';
import { Field } from './field.js';

export class StageForm {
  #stage;
  #parameters;
  #timeout;
  #attempts;
  root;

  constructor(stage) {
    this.#stage = stage;
    const given = defaults[stage], text = JSON.stringify(given.parameters, null, 2);
    const at = `body.stages.${stage}`;
    this.#parameters = new Field(`${at}.parameters`, 'Parameters, a JSON object', '',
      el('textarea', { rows: Math.max(3, text.split('\n').length), spellcheck: 'false', autocomplete: 'off', autocapitalize: 'off' }));
    this.#parameters.input.value = text;
    this.#timeout = new Field(`${at}.timeout_seconds`, 'Time limit of a try, s', '', el('input', { inputmode: 'numeric', placeholder: 'default', autocomplete: 'off' }));
    this.#timeout.input.value = given.timeout_seconds ?? '';
    this.#attempts = new Field(`${at}.attempts`, 'Tries, at most', '', el('input', { inputmode: 'numeric', placeholder: 'default', autocomplete: 'off' }));
    this.root = el('fieldset', { class: 'stage' }, el('legend', {}, stage), this.#parameters.root,
      el('div', { class: 'pair' }, this.#timeout.root, this.#attempts.root),
      el('details', { class: 'takes' }, el('summary', {}, 'What it takes'),
        el('dl', {}, Object.entries(known[stage]).flatMap(([name, words]) => [el('dt', {}, el('code', {}, name)), el('dd', {}, words)]))));
  }

  get fields() { return [this.#parameters, this.#timeout, this.#attempts]; }

  // rename lets a parameter name that was the workflow's old name be its new one.
  rename(old, name) {
    try {
      const p = JSON.parse(this.#parameters.value);
      if (p.name !== old) return;
      p.name = name;
      this.#parameters.input.value = JSON.stringify(p, null, 2);
    } catch { /* it is being written */ }
  }

  // read returns the stage's request, or null after having said what is wrong.
  read() {
    const out = {};
    let ok = true;
    if (this.#parameters.value) {
      try {
        out.parameters = JSON.parse(this.#parameters.value);
        if (typeof out.parameters !== 'object' || out.parameters === null || Array.isArray(out.parameters)) throw new Error('must be an object: { "name": value }');
      } catch (err) {
        this.#parameters.wrong(err instanceof SyntaxError ? `Not valid JSON: ${err.message}` : err.message);
        ok = false;
      }
    }
    for (const [name, field] of [['timeout_seconds', this.#timeout], ['attempts', this.#attempts]]) {
      if (!field.value) continue;
      out[name] = Number(field.value);
      if (Number.isInteger(out[name])) continue;
      field.wrong('must be a whole number');
      ok = false;
    }
    return ok ? out : null;
  }
}
