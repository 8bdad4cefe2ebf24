// One line of a timeline. The event's whole text is made when somebody opens it.
import { el } from '../lib/dom.js';
import { outcome, summary } from '../lib/event.js';
import { clock } from '../lib/format.js';
import { copyButton } from './copy.js';

export function entry(item, open, toggled) {
  const { seq, event } = item;
  const details = el('details', {}, el('summary', {},
    el('span', { class: 'seq' }, String(seq)),
    el('time', { datetime: event.timestamp, title: event.timestamp }, clock(event.timestamp)),
    el('span', { class: 'type' }, event.type),
    el('span', { class: 'what' }, summary(event))));
  const show = () => {
    if (details.children.length === 1) details.append(body(event));
  };
  details.addEventListener('toggle', () => {
    if (details.open) show();
    toggled(seq, details.open);
  });
  if (open) {
    show();
    details.open = true;
  }
  return el('li', { 'data-outcome': outcome(event.type), 'data-seq': seq }, details);
}

function body(event) {
  const text = JSON.stringify(event, null, 2);
  return el('div', { class: 'body' },
    el('p', { class: 'from' }, 'from ', el('code', {}, event.source_agent ?? 'unknown'), copyButton(text)),
    el('pre', { tabindex: 0, role: 'region', 'aria-label': 'The event as JSON' }, text));
}

// hole is the line of numbers that are missing.
export function hole(item, again) {
  const n = item.to - item.from + 1;
  const which = n === 1 ? `Event ${item.from}` : `Events ${item.from} to ${item.to}`;
  const verb = n === 1 ? 'is' : 'are';
  const words = {
    asked: `${which} ${verb} being fetched`, lost: `${which} ${verb} no longer kept`, failed: `${which} could not be fetched`,
  }[item.state];
  return el('li', { class: 'gap', 'data-from': item.from, 'data-to': item.to }, el('span', {}, words),
    item.state === 'failed' && el('button', { type: 'button', class: 'small', onclick: () => again(item) }, 'Try again'));
}
