// Who looks at the page. The token is kept in sessionStorage alone: it ends with the tab, no other tab
// and no other site has it, and it never stands in an address.

const name = 'agentbus.token';

class Session extends EventTarget {
  who = null; // {authentication, subject, tenant, operator} once the server has said so
  why = ''; // why the token was not accepted, for the form that asks for another
  #token = sessionStorage.getItem(name);

  get operator() { return this.who?.operator === true; }
  get needsTicket() { return this.who?.authentication === true; }

  headers() { return this.#token ? { Authorization: `Bearer ${this.#token}` } : {}; }

  // load asks the server; it answers 'in', 'out' (a token is needed) or 'unreachable'.
  async load() {
    let answer;
    try {
      answer = await fetch('v1/session', { headers: this.headers(), cache: 'no-store' });
    } catch {
      return 'unreachable';
    }
    if (answer.status === 401) {
      this.refused();
      return 'out';
    }
    if (!answer.ok) return 'unreachable';
    try {
      this.who = await answer.json();
    } catch { // broken off in the middle
      return 'unreachable';
    }
    this.why = '';
    this.#changed();
    return 'in';
  }

  async signIn(token) {
    if (!/^[\x21-\x7e]+$/.test(token)) { // no header can carry it
      this.why = 'A token has no spaces and no accented letters.';
      return 'out';
    }
    this.#token = token;
    const result = await this.load();
    if (result === 'in') sessionStorage.setItem(name, token);
    return result;
  }

  signOut() {
    this.why = '';
    this.#forget();
  }

  // refused is called when any answer was 401.
  refused() {
    this.why = this.#token ? 'This token is not accepted: it is unknown or has expired.' : '';
    this.#forget();
  }

  #forget() {
    this.#token = null;
    sessionStorage.removeItem(name);
    this.who = null;
    this.#changed();
  }

  #changed() { this.dispatchEvent(new Event('change')); }
}

export const session = new Session();
