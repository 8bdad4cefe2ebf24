// A button that copies a text. Browsers offer it on https and localhost only: elsewhere there is none.
import { el, setText } from '../lib/dom.js';

export function copyButton(text, label = 'Copy') {
  if (!navigator.clipboard) return null;
  const button = el('button', { type: 'button', class: 'small quiet' }, label);
  button.addEventListener('click', async () => {
    const done = await navigator.clipboard.writeText(text).then(() => true, () => false);
    setText(button, done ? 'Copied' : 'Not allowed');
    setTimeout(() => setText(button, label), 1_500);
  });
  return button;
}
