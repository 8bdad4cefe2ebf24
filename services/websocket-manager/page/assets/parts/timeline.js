// The timeline, newest first. However long the story, few lines are in the document: the newest, and
// more as the reader goes down. One paint per frame.
import { el, setText } from '../lib/dom.js';
import { summary } from '../lib/event.js';
import { entry, hole } from './entry.js';

const step = 150; // lines painted at first, and more each time the end is reached

export class Timeline {
  #story;
  #again;
  #list = el('ol', { class: 'timeline' });
  #more = el('button', { type: 'button', class: 'more', hidden: true, onclick: () => this.#further() });
  #count = el('span', { class: 'count' });
  #find = el('input', { type: 'search', placeholder: 'Filter events', 'aria-label': 'Filter events', autocomplete: 'off', oninput: () => this.repaint() });
  #a2a = el('input', { type: 'checkbox', checked: true, onchange: () => this.repaint() });
  #open = new Set(); // numbers whose details are shown
  #fresh = []; // items that are not painted yet, in order
  #limit = step;
  #shown = 0;
  #end = 0; // items below this index are not painted
  #frame = 0;
  #watcher = new IntersectionObserver((seen) => { if (seen.some((s) => s.isIntersecting)) this.#further(); }, { rootMargin: '400px' });
  root = el('section', { class: 'events', 'aria-label': 'Timeline' },
    el('div', { class: 'heading' }, el('h2', {}, 'Timeline'), this.#count, this.#find,
      el('label', {}, this.#a2a, 'requests and responses')),
    this.#list, this.#more);

  constructor(story, again) { // again(gap) fetches it once more
    this.#story = story;
    this.#again = again;
    this.#watcher.observe(this.#more);
  }

  close() {
    this.#watcher.disconnect();
    cancelAnimationFrame(this.#frame);
  }

  // add shows an item that is newer than all others.
  add(item) {
    this.#fresh.push(item);
    this.#frame ||= requestAnimationFrame(() => this.#paint());
  }

  // repaint begins anew: the filter, or something in the middle, has changed.
  repaint() {
    this.#fresh = [];
    this.#limit = Math.max(step, Math.min(this.#limit, this.#shown));
    this.#list.replaceChildren();
    this.#shown = 0;
    this.#end = this.#story.items.length;
    this.#fill();
    this.#say();
  }

  #paint() {
    this.#frame = 0;
    const all = this.#fresh;
    this.#fresh = [];
    const fits = all.filter((item) => this.#matches(item));
    if (fits.length > step || this.#story.items.length === all.length) { // a long past came at once
      this.repaint();
      return;
    }
    const few = fits.length < 12;
    const nodes = fits.map((item) => this.#node(item)).reverse();
    if (few) for (const node of nodes) node.classList.add('fresh');
    this.#list.prepend(...nodes);
    this.#shown += nodes.length;
    if (this.#shown > this.#limit + step && scrollY < 400) this.#trim();
    this.#say();
  }

  // trim takes the oldest lines out again while nobody looks at them.
  #trim() {
    const kept = this.#list.children[this.#limit - 1];
    while (kept.nextSibling) kept.nextSibling.remove();
    this.#shown = this.#limit;
    const lowest = Number(kept.dataset.seq ?? kept.dataset.from);
    this.#end = this.#story.items.findIndex((item) => (item.seq ?? item.from) === lowest);
  }

  #further() {
    if (this.#end === 0) return;
    this.#limit = this.#shown + step;
    this.#fill();
    this.#say();
    this.#watcher.unobserve(this.#more); // watched anew, or it would say nothing while it stays in sight
    this.#watcher.observe(this.#more);
  }

  // fill paints older ones down to the limit.
  #fill() {
    const nodes = [];
    while (this.#end > 0 && this.#shown + nodes.length < this.#limit) {
      const item = this.#story.items[--this.#end];
      if (this.#matches(item)) nodes.push(this.#node(item));
    }
    this.#shown += nodes.length;
    this.#list.append(...nodes);
  }

  #matches(item) {
    if (item.gap) return true;
    if (!this.#a2a.checked && item.event.type.startsWith('a2a.')) return false;
    const text = this.#find.value.trim().toLowerCase();
    return !text || `${item.seq} ${item.event.type} ${item.event.source_agent} ${summary(item.event)}`.toLowerCase().includes(text);
  }

  #node(item) {
    if (item.gap) return hole(item, this.#again);
    return entry(item, this.#open.has(item.seq), (seq, open) => (open ? this.#open.add(seq) : this.#open.delete(seq)));
  }

  #say() {
    setText(this.#count, this.#story.count.toLocaleString('en'));
    this.#more.hidden = this.#end === 0;
    setText(this.#more, `Show older events (${this.#end.toLocaleString('en')} more)`);
    this.#list.dataset.none = this.#story.count && !this.#shown ? 'Nothing matches this filter' : '';
  }
}
