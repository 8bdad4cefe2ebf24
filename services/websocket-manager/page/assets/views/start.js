// The form that starts a workflow. The server's word on each field stands at the field.
import { call } from '../lib/api.js';
import { el, note } from '../lib/dom.js';
import { stages } from '../lib/event.js';
import { shortcut } from '../lib/keys.js';
import { workflowAddress } from '../lib/route.js';
import { Field } from '../parts/field.js';
import { StageForm } from '../parts/stageform.js';

export class Start {
  title = 'New workflow';
  #name = new Field('body.name', 'Name', 'Lower-case letters, digits and inner dashes: what is delivered is called so.', el('input', { autocomplete: 'off', spellcheck: 'false', maxlength: 63 }));
  #stages = stages.map((s) => [s, new StageForm(s)]);
  #trouble = el('div', {});
  #submit = el('button', { type: 'submit', class: 'primary', id: 'start' }, 'Start workflow');
  #sent = { text: '', key: '' };
  #busy = false;
  #ends;
  root;

  constructor() {
    this.#name.input.value = 'greeter';
    let old = 'greeter';
    this.#name.input.addEventListener('input', () => {
      for (const [, form] of this.#stages) form.rename(old, this.#name.value);
      old = this.#name.value;
    });
    const form = el('form', { novalidate: true, onsubmit: (e) => { e.preventDefault(); this.#send(); } },
      this.#name.root, el('div', { class: 'stages' }, this.#stages.map(([, s]) => s.root)), this.#trouble,
      el('div', { class: 'buttons' }, this.#submit, el('a', { class: 'button quiet', href: '#/' }, 'Leave it')));
    form.addEventListener('keydown', (e) => { if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) form.requestSubmit(); });
    this.root = el('section', { class: 'start' }, el('h1', {}, 'New workflow'), el('p', { class: 'soft' }, 'It starts at once. Each stage hands what it made to the next.'), form);
    this.#ends = [shortcut('Escape', 'Back to all workflows', () => { location.hash = '#/'; })];
  }

  close() { for (const end of this.#ends) end(); }

  focus() { this.#name.input.select(); }

  get #fields() { return [this.#name, ...this.#stages.flatMap(([, s]) => s.fields)]; }

  async #send() {
    if (this.#busy) return;
    for (const field of this.#fields) field.wrong('');
    this.#trouble.replaceChildren();
    const read = this.#stages.map(([name, form]) => [name, form.read()]);
    if (read.some(([, r]) => !r)) return this.#showWrong();
    const body = { name: this.#name.value, stages: Object.fromEntries(read.filter(([, r]) => Object.keys(r).length)) };
    this.#busy = true;
    this.#submit.disabled = true;
    try {
      const view = await call('POST', 'v1/workflows', { body, headers: { 'Idempotency-Key': this.#key(JSON.stringify(body)) } });
      location.hash = workflowAddress(view.id);
    } catch (err) {
      this.#say(err);
    }
    this.#busy = false;
    this.#submit.disabled = false;
  }

  // key is the same for the same request: one that was sent again, its answer lost, starts nothing twice.
  #key(text) {
    if (this.#sent.text !== text) {
      this.#sent = { text, key: [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('') };
    }
    return this.#sent.key;
  }

  #say(err) {
    const rest = [];
    for (const e of err.errors ?? []) {
      const field = this.#fields.find((f) => f.takes(String(e.location ?? '')));
      if (field) field.wrong(String(e.message ?? 'is wrong'));
      else rest.push(`${e.location ?? ''} ${e.message ?? ''}`.trim());
    }
    const down = err.status === 0 || err.status >= 500;
    if (rest.length || !err.errors?.length) {
      this.#trouble.replaceChildren(note('bad', down ? 'It was not started' : 'It was refused', [err.message, ...rest].join('; '),
        down && el('span', {}, 'Sending it again is safe: it starts once.')));
    }
    this.#showWrong();
  }

  #showWrong() {
    this.root.querySelector('[aria-invalid=true]')?.focus();
  }
}
