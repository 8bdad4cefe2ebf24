// One dead letter. Its bytes are shown as they came, or as JSON when they are that.
import { el } from '../lib/dom.js';
import { moment } from '../lib/format.js';
import { workflowAddress } from '../lib/route.js';
import { copyButton } from './copy.js';

export function letter(l, act, chosen) {
  const box = el('input', { type: 'checkbox', 'aria-label': `Choose ${l.id}`, onchange: chosen });
  const details = el('details', {}, el('summary', {},
    el('span', { class: 'chip' }, l.class || 'unknown'), el('span', { class: 'type' }, l.type || 'no type'),
    el('span', { class: 'soft' }, l.group), el('span', { class: 'what' }, l.error), el('time', { datetime: l.died_at }, moment(l.died_at))));
  const show = () => { // what it holds is made when it is looked at
    if (details.children.length === 1) details.append(body(l, act));
  };
  details.addEventListener('toggle', () => { if (details.open) show(); });
  const open = () => {
    show();
    details.open = true;
  };
  return { letter: l, box, details, open, item: el('li', { class: 'letter', 'data-class': l.class }, box, details) };
}

function body(l, act) {
  const facts = {
    error: l.error, 'handled by': l.member, attempts: l.attempts, stream: `${l.stream} ${l.entry_id}`,
    event: l.event_id, number: l.seq,
  };
  const text = pretty(l.data);
  return el('div', { class: 'body' },
    el('dl', { class: 'facts' }, Object.entries(facts).filter(([, v]) => v).map(([k, v]) => el('div', {}, el('dt', {}, k), el('dd', {}, String(v)))),
      l.workflow_id && el('div', {}, el('dt', {}, 'workflow'), el('dd', {}, el('a', { href: workflowAddress(l.workflow_id) }, l.workflow_id)))),
    el('div', { class: 'buttons' },
      el('button', { type: 'button', class: 'small', onclick: () => act('replay') }, 'Replay'),
      el('button', { type: 'button', class: 'small danger', onclick: () => act('drop') }, 'Drop'), copyButton(String(l.data ?? ''))),
    el('pre', { tabindex: 0, role: 'region', 'aria-label': 'What it holds' }, text));
}

function pretty(data) {
  try {
    return JSON.stringify(JSON.parse(data), null, 2);
  } catch {
    return String(data ?? '');
  }
}
