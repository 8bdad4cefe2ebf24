// Making elements. Values from events only ever become text or attributes, never markup.

export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

// svg makes an element of a drawing.
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false && c !== ''));
  return node;
}

// setText writes only when it differs, so that a selection of the reader's stays.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttr(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

// outside is a link to an address that an event named: only to a web page, and telling it nothing.
export function outside(address) {
  let url = null;
  try {
    url = new URL(String(address));
  } catch { /* no address: shown as text */ }
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') return el('code', {}, String(address));
  return el('a', { class: 'outside', href: url.href, target: '_blank', rel: 'noopener noreferrer' }, url.href);
}

// note is a box with a sentence: kind is info, warn or bad.
export function note(kind, title, words = '', ...more) {
  return el('div', { class: `note ${kind}`, role: kind === 'bad' ? 'alert' : 'status' }, el('strong', {}, title), words && el('span', {}, words), ...more);
}

// empty is what stands where nothing is yet.
export function empty(title, words = '', ...more) {
  return el('div', { class: 'empty' }, el('strong', {}, title), words && el('span', {}, words), ...more);
}

// bones stand where something is being loaded.
export function bones(n, words) {
  return el('div', { class: 'bones', role: 'status', 'aria-label': words }, Array.from({ length: n }, () => el('i')));
}
