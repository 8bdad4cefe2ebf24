// Questions and lists over the page.
import { el } from '../lib/dom.js';
import { shortcuts } from '../lib/keys.js';

function open(dialog) {
  document.body.append(dialog);
  dialog.addEventListener('close', () => dialog.remove());
  dialog.addEventListener('click', (e) => { if (e.target === dialog) dialog.close(''); });
  dialog.showModal();
}

// confirm resolves to whether the person said yes. What it is about is told in full.
export function confirm({ title, words, yes, danger = true }) {
  return new Promise((resolve) => {
    const dialog = el('dialog', { 'aria-labelledby': 'dialog-title' });
    dialog.append(el('h2', { id: 'dialog-title' }, title), el('p', {}, words),
      el('div', { class: 'buttons' },
        el('button', { type: 'button', class: 'quiet', autofocus: true, onclick: () => dialog.close('') }, 'Leave it'),
        el('button', { type: 'button', class: danger ? 'danger' : 'primary', id: 'dialog-yes', onclick: () => dialog.close('yes') }, yes)));
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'));
    open(dialog);
  });
}

export function help() {
  const dialog = el('dialog', { 'aria-labelledby': 'dialog-title' });
  dialog.append(el('h2', { id: 'dialog-title' }, 'Keyboard'),
    el('dl', { class: 'keys' }, shortcuts().flatMap(({ key, words }) => [el('dt', {}, el('kbd', {}, key)), el('dd', {}, words)])),
    el('div', { class: 'buttons' }, el('button', { type: 'button', class: 'quiet', autofocus: true, onclick: () => dialog.close('') }, 'Close')));
  open(dialog);
}
