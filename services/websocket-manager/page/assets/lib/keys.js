// Shortcuts. Each view adds its own for as long as it is shown; ? lists them all.

const held = new Map(); // key -> {words, run}

// shortcut registers one and returns what takes it away again.
export function shortcut(key, words, run) {
  const mine = { words, run };
  held.set(key, mine);
  return () => { if (held.get(key) === mine) held.delete(key); };
}

export function shortcuts() {
  return [...held].map(([key, { words }]) => ({ key, words }));
}

const typing = (node) => node instanceof HTMLElement && (node.isContentEditable ||
  (/^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName) && !/^(checkbox|radio|button|submit)$/.test(node.type)));

addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector('dialog[open]')) return;
  if (typing(e.target)) {
    if (e.key === 'Escape') e.target.blur();
    return;
  }
  const found = held.get(e.key);
  if (!found) return;
  e.preventDefault();
  found.run();
});
