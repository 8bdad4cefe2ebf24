// One workflow: its head, its stages, its artifacts and reports, its timeline. Events come in order, each
// once; what only the coordinator knows is asked of it when something has changed.
import { call, workflowPath } from '../lib/api.js';
import { bones, el, empty, note } from '../lib/dom.js';
import { shortcut } from '../lib/keys.js';
import { Artifacts } from '../parts/artifacts.js';
import { Head } from '../parts/head.js';
import { Pipeline } from '../parts/pipeline.js';
import { Story } from '../parts/story.js';
import { Timeline } from '../parts/timeline.js';

const settle = 300; // ms in which news are gathered before the coordinator is asked
const page = 500; // numbers of one request for history

export class Workflow {
  #id;
  #rows;
  #view = null;
  #unknown = false; // the coordinator says so
  #live = false;
  #story = new Story();
  #pipeline = new Pipeline();
  #artifacts;
  #timeline = new Timeline(this.#story, (gap) => this.#fetchGap(gap));
  #head;
  #wait = el('div', {});
  #trouble = el('div', { class: 'trouble' });
  #asking = 0;
  #frame = 0;
  #closed = new AbortController();
  #ends;
  root;

  constructor(id, rows) {
    this.#id = id;
    this.#rows = rows;
    this.title = rows.get(id)?.name ?? id;
    this.#artifacts = new Artifacts(id);
    this.#head = new Head(id, (stage) => this.#artifacts.open(stage), () => this.#refresh());
    this.root = el('article', { class: 'workflow' }, this.#head.root, this.#trouble, this.#pipeline.root, this.#artifacts.root, this.#timeline.root, this.#wait);
    this.#wait.append(bones(6, 'Loading its events'));
    const clock = setInterval(() => this.#paint(), 1_000);
    this.#ends = [() => clearInterval(clock), rows.listen((changed) => { if (changed.some((r) => r.workflow_id === id)) this.#paintSoon(); }),
      shortcut('Escape', 'Back to all workflows', () => { location.hash = '#/'; }),
      shortcut('/', 'Filter events', () => this.root.querySelector('.events input').focus())];
    this.#paint();
    this.#refresh();
  }

  close() {
    this.#closed.abort();
    clearTimeout(this.#asking);
    cancelAnimationFrame(this.#frame);
    this.#timeline.close();
    for (const end of this.#ends) end();
  }

  begin(reset) {
    if (!reset) return;
    this.#story.clear();
    this.#timeline.repaint();
  }

  event(seq, event) {
    const item = this.#story.add(seq, event);
    if (!item) return;
    this.#timeline.add(item);
    if (/\.(completed|confirmed|failed|cancelled)$/.test(event.type)) this.#refreshSoon();
    this.#paintSoon();
  }

  gap(from, to) {
    const gap = this.#story.gap(from, to);
    if (!gap) return;
    this.#timeline.add(gap);
    this.#fetchGap(gap);
    this.#paintSoon();
  }

  live() {
    this.#live = true;
    this.#paintSoon();
  }

  missing() {
    this.#unknown = true;
    this.#live = true;
    this.#paintSoon();
  }

  // fetchGap asks the history for what the live view has no more, and says so where it is gone for good.
  async #fetchGap(gap) {
    gap.state = 'asked';
    const events = [], gaps = [];
    try {
      for (let after = gap.from - 1; after < gap.to;) {
        const got = await call('GET', workflowPath(this.#id, `/history?after=${after}&limit=${Math.min(page, gap.to - after)}`), { signal: this.#closed.signal });
        events.push(...got.events);
        gaps.push(...got.gaps);
        if (got.to <= after) { // it knows less than we do
          gaps.push({ from: after + 1, to: gap.to });
          break;
        }
        after = got.to;
      }
      this.#story.fill(gap, events, gaps);
    } catch (err) {
      if (err.name === 'AbortError') return;
      if (err.status === 404) this.#story.fill(gap, [], [{ from: gap.from, to: gap.to }]);
      else gap.state = 'failed';
    }
    this.#timeline.repaint();
    this.#paintSoon();
  }

  #refreshSoon() {
    clearTimeout(this.#asking);
    this.#asking = setTimeout(() => this.#refresh(), settle);
  }

  async #refresh() {
    try {
      this.#view = await call('GET', workflowPath(this.#id), { signal: this.#closed.signal });
      this.#trouble.replaceChildren();
    } catch (err) {
      if (err.name === 'AbortError') return;
      if (err.status === 404 || err.status === 422) this.#unknown = true;
      else if (err.status !== 401) {
        this.#trouble.replaceChildren(note('warn', 'The coordinator does not answer', 'The timeline stays live. Cancelling, running again and reports wait for it.',
          el('button', { type: 'button', class: 'small', onclick: () => this.#refresh() }, 'Try again')));
      }
    }
    this.#paintSoon();
  }

  #paintSoon() {
    this.#frame ||= requestAnimationFrame(() => this.#paint());
  }

  #paint() {
    this.#frame = 0;
    const row = this.#rows.get(this.#id);
    const now = this.#head.paint(row, this.#view, this.#story);
    this.#pipeline.paint(this.#story, this.#view, now.ended);
    this.#artifacts.paint(this.#story, this.#view);
    const none = this.#story.items.length === 0;
    const lost = none && this.#live && this.#unknown && !row;
    for (const part of [this.#head.root, this.#pipeline.root]) part.hidden = lost;
    this.#timeline.root.hidden = none;
    this.#wait.hidden = !none;
    if (none && this.#live) this.#say(lost);
  }

  #said = null;
  #say(lost) {
    if (this.#said === lost) return;
    this.#said = lost;
    this.#wait.replaceChildren(lost
      ? empty('There is no such workflow', 'It never was, is no longer kept, or belongs to another tenant.', el('code', {}, this.#id), el('a', { class: 'button', href: '#/' }, 'All workflows'))
      : empty('No events yet', 'The first one shows here as it happens.'));
  }
}
