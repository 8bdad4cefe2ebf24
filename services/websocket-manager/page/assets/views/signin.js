// Asking for a token, where the server wants one.
import { el, setText } from '../lib/dom.js';
import { session } from '../lib/session.js';

export class SignIn {
  title = 'Sign in';
  #token = el('input', { type: 'password', id: 'token', autocomplete: 'off', spellcheck: 'false', 'aria-describedby': 'token-wrong', required: true });
  #wrong = el('p', { class: 'wrong', id: 'token-wrong', role: 'alert' });
  #submit = el('button', { type: 'submit', class: 'primary' }, 'Sign in');
  root;

  constructor() {
    setText(this.#wrong, session.why);
    this.root = el('section', { class: 'signin' }, el('h1', {}, 'Sign in'),
      el('p', { class: 'soft' }, 'This server asks who you are. Your token stays in this tab and is forgotten when it closes.'),
      el('form', { novalidate: true, onsubmit: (e) => { e.preventDefault(); this.#send(); } },
        el('div', { class: 'field' }, el('label', { for: 'token' }, 'Token'), this.#token, this.#wrong), this.#submit));
  }

  close() {}

  focus() { this.#token.focus(); }

  async #send() {
    const token = this.#token.value.trim();
    if (!token) {
      setText(this.#wrong, 'Paste a token: whoever runs agentbus gives you one.');
      return;
    }
    this.#submit.disabled = true;
    const result = await session.signIn(token);
    this.#submit.disabled = false;
    setText(this.#wrong, result === 'unreachable' ? 'The server does not answer. Try again a little later.' : session.why);
    if (result !== 'in') this.#token.select();
  }
}
