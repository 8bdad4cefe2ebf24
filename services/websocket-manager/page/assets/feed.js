// The connection: one WebSocket for the list and the workflow that is looked at. It comes back by
// itself, asks for what it missed by the last number it has seen, and drops what it has seen already.
// The protocol is ws/PROTOCOL.md.

const slowest = 15_000; // ms between two tries
const silence = 5_000; // ms a connection may take to open

export class Feed {
  #handlers;
  #socket = null;
  #tries = 0;
  #workflow = null; // {id, seq}
  #timer = 0;

  constructor(handlers) {
    this.#handlers = handlers; // state(name), rows(rows, snapshot), begin(reset), event(seq, event), gap(from, to), live()
    addEventListener('online', () => this.#retryNow());
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.#retryNow(); });
    this.#connect();
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

  #connect() {
    const url = new URL('ws', location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    url.hash = '';
    url.search = '?list=1';
    this.#handlers.state(this.#tries ? 'reconnecting' : 'connecting');
    const socket = new WebSocket(url);
    this.#socket = socket;
    const opening = setTimeout(() => socket.close(), silence);
    socket.onopen = () => {
      clearTimeout(opening);
      this.#tries = 0;
      this.#handlers.state('live');
      if (this.#workflow) this.#subscribe();
    };
    socket.onmessage = (message) => this.#take(JSON.parse(message.data));
    socket.onclose = (closed) => {
      clearTimeout(opening);
      if (this.#socket !== socket) return;
      this.#socket = null;
      if (closed.code === 4400) { // what we send is not understood: coming back would not help
        this.#handlers.state('outdated');
        return;
      }
      const pause = Math.min(slowest, 250 * 2 ** this.#tries) * (0.5 + Math.random());
      this.#tries += 1;
      this.#handlers.state('reconnecting');
      this.#timer = setTimeout(() => this.#connect(), pause);
    };
  }

  #retryNow() {
    if (this.#socket) return;
    clearTimeout(this.#timer);
    this.#connect();
  }

  #take(frame) {
    if (frame.type === 'rows') {
      this.#handlers.rows(frame.rows, frame.snapshot === true);
      return;
    }
    const w = this.#workflow;
    if (!w || frame.workflow_id !== w.id) return; // of a workflow that is no longer looked at
    switch (frame.type) {
      case 'subscribed':
        if (frame.reset) w.seq = 0;
        this.#handlers.begin(frame.reset === true);
        break;
      case 'event':
        if (frame.seq <= w.seq) return;
        w.seq = frame.seq;
        this.#handlers.event(frame.seq, frame.event);
        break;
      case 'gap':
        if (frame.to <= w.seq) return;
        this.#handlers.gap(Math.max(frame.from, w.seq + 1), frame.to);
        w.seq = frame.to;
        break;
      case 'live':
        this.#handlers.live();
        break;
      case 'error':
        setTimeout(() => { if (this.#workflow === w) this.#subscribe(); }, 2_000);
        break;
    }
  }
}
