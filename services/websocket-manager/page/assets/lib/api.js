// Requests to the HTTP API. What goes wrong is a Problem, as the server's problem+json words it.
import { coordinator } from './coordinator.js';
import { session } from './session.js';

export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || body?.title || 'The server does not answer.');
    this.status = status; // 0: no answer at all
    this.errors = Array.isArray(body?.errors) ? body.errors : []; // {location, message, value}
  }

  // words are the detail and what the server said of fields.
  get words() {
    const more = this.errors.map((e) => e?.message).filter((m) => m && !this.message.includes(m));
    return [this.message, ...more].join(': ');
  }
}

// ask returns the answer, which is ok.
export async function ask(method, path, { body, headers, signal } = {}) {
  const init = { method, signal, cache: 'no-store', headers: { ...session.headers(), ...headers } };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers['Content-Type'] = 'application/json';
  }
  let answer;
  try {
    answer = await fetch(path, init);
  } catch (err) {
    if (err.name === 'AbortError') throw err;
    throw new Problem(0);
  }
  coordinator.answered(path, answer.status);
  if (answer.ok) return answer;
  if (answer.status === 401) session.refused();
  throw new Problem(answer.status, await answer.json().catch(() => null));
}

export async function call(method, path, options) {
  const answer = await ask(method, path, options);
  return answer.json().catch(() => { throw new Problem(0); }); // broken off in the middle
}

export function workflowPath(id, rest = '') {
  return `v1/workflows/${encodeURIComponent(id)}${rest}`;
}
