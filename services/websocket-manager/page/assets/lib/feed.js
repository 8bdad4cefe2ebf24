// The connection: one WebSocket for the list and the workflow that is looked at. It comes back by
// itself, asks for what it missed by the last number it has seen, and drops what it has seen already.
// The protocol is ws/PROTOCOL.md.
import { call } from './api.js';
import { session } from './session.js';

const slowest = 15_000; // ms between two tries
const opening = 5_000; // ms a connection may take to open
const silence = 40_000; // ms without a frame after which the server is asked for a sign of life
const patience = 10_000; // ms that it has for it

export class Feed {
  #on;
  #socket = null;
  #tries = 0;
  #workflow = null; // {id, seq}
  #timer = 0;
  #running = false;
  #hint = null; // ms, of a leaving frame
  #heard = 0; // when the last frame came
  #asked = 0; // when the server was asked for a sign of life, 0 when it was not

  constructor(handlers) {
    this.#on = handlers; // state(name), rows(rows, snapshot), begin(reset), event(seq, event), gap(from, to), live(), missing()
    addEventListener('online', () => this.#hurry());
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.#hurry(); });
    setInterval(() => this.#listen(), 5_000);
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    this.#connect();
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close?.();
    this.#tries = 0;
  }

  watch(id) {
    if (this.#workflow?.id === id) return;
    if (this.#workflow) this.#send({ type: 'unsubscribe', workflow_id: this.#workflow.id });
    this.#workflow = id ? { id, seq: 0 } : null;
    if (id) this.#subscribe();
  }

  #subscribe() {
    this.#send({ type: 'subscribe', workflow_id: this.#workflow.id, since: this.#workflow.seq });
  }

  #send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  async #connect() {
    const url = new URL('ws?list=1', location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    url.hash = '';
    this.#on.state(this.#tries ? 'reconnecting' : 'connecting');
    const mine = {}; // holds the place until there is a socket
    this.#socket = mine;
    if (session.needsTicket) {
      try {
        url.searchParams.set('ticket', (await call('POST', 'v1/tickets')).ticket);
      } catch {
        if (this.#socket === mine) this.#again(); // 401 stops the feed through the session
        return;
      }
      if (this.#socket !== mine) return;
    }
    this.#open(url);
  }

  #open(url) {
    const socket = new WebSocket(url);
    this.#socket = socket;
    const timer = setTimeout(() => socket.close(), opening);
    socket.onopen = () => {
      clearTimeout(timer);
      if (this.#socket !== socket) return;
      this.#tries = 0;
      this.#heard = Date.now();
      this.#asked = 0;
      this.#on.state('live');
      if (this.#workflow) this.#subscribe();
    };
    socket.onmessage = (message) => {
      if (this.#socket !== socket) return; // left behind
      this.#heard = Date.now();
      this.#asked = 0;
      this.#take(JSON.parse(message.data));
    };
    socket.onclose = (closed) => {
      clearTimeout(timer);
      if (this.#socket !== socket) return;
      if (closed.code === 4400) { // what we send is not understood: coming back would not help
        this.#socket = null;
        this.#on.state('outdated');
      } else if (closed.code === 4401) { // who we are must be asked anew
        this.#again();
        session.load();
      } else this.#again();
    };
  }

  // again connects after a pause that doubles with each try, or after what the server asked for.
  #again() {
    this.#socket = null;
    if (!this.#running) return;
    const pause = this.#hint ?? Math.min(slowest, 250 * 2 ** this.#tries) * (0.5 + Math.random());
    this.#hint = null;
    this.#tries += 1;
    this.#on.state('reconnecting');
    this.#timer = setTimeout(() => this.#connect(), pause);
  }

  #hurry() {
    if (this.#socket || !this.#running) return;
    clearTimeout(this.#timer);
    this.#connect();
  }

  // listen finds a connection that broke without a word, as one does when a laptop slept.
  #listen() {
    const socket = this.#socket, now = Date.now();
    if (socket?.readyState !== WebSocket.OPEN || now - this.#heard < silence) return;
    if (!this.#asked) {
      this.#asked = now;
      this.#send({ type: 'subscribe', list: true }); // answered at once, and changes nothing
    } else if (now - this.#asked > patience) {
      this.#again();
      socket.close();
    }
  }

  #take(frame) {
    if (frame.type === 'rows') this.#on.rows(frame.rows, frame.snapshot === true);
    if (frame.type === 'leaving') this.#hint = Math.min(60_000, Math.max(0, Number(frame.after_ms) || 0));
    const w = this.#workflow;
    if (!w || frame.workflow_id !== w.id) return; // of a workflow that is no longer looked at
    switch (frame.type) {
      case 'subscribed':
        if (frame.reset) w.seq = 0;
        this.#on.begin(frame.reset === true);
        break;
      case 'event':
        if (frame.seq <= w.seq) return;
        w.seq = frame.seq;
        this.#on.event(frame.seq, frame.event);
        break;
      case 'gap': {
        if (frame.to <= w.seq) return;
        const from = Math.max(frame.from, w.seq + 1);
        w.seq = frame.to;
        this.#on.gap(from, frame.to);
        break;
      }
      case 'live':
        this.#on.live();
        break;
      case 'error':
        if (frame.code === 'not_found') this.#on.missing();
        else if (frame.code !== 'bad_request') setTimeout(() => { if (this.#workflow === w) this.#subscribe(); }, 2_000);
        break;
    }
  }
}
