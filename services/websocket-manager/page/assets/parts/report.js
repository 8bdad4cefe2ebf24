// Reading an artifact in place: as what it is when that is known, else as text, else not at all.
import { el, note } from '../lib/dom.js';
import { showJUnit } from './junit.js';
import { showSARIF } from './sarif.js';

export const readable = 4_000_000; // bytes; what is larger is only downloaded
const shownText = 200_000; // characters

const isText = /^(text\/|application\/(json|xml|x-ndjson|yaml|toml)|[^;]*\+(json|xml))/;

// kindOf is 'sarif', 'junit', 'json', 'text' or ''.
export function kindOf(artifact) {
  const type = String(artifact.media_type ?? ''), name = String(artifact.name ?? '').toLowerCase();
  if (type.startsWith('application/sarif') || name.endsWith('.sarif')) return 'sarif';
  if (type.includes('junit') || /junit.*\.xml$|^test.*\.xml$/.test(name)) return 'junit';
  if (/json/.test(type) || name.endsWith('.json')) return 'json';
  if (isText.test(type) || /\.(txt|log|md|csv|ya?ml|xml)$/.test(name)) return 'text';
  return '';
}

export const titles = { sarif: 'Findings', junit: 'Tests', json: 'Read', text: 'Read' };

// show never throws: a report that is not what it says is shown as text.
export function show(artifact, text) {
  try {
    switch (kindOf(artifact)) {
      case 'sarif': return showSARIF(text);
      case 'junit': return showJUnit(text);
      case 'json': return plain(JSON.stringify(JSON.parse(text), null, 2));
    }
  } catch (err) {
    return el('div', {}, note('warn', 'This report cannot be read as what it says it is', `${err.message}. Its text:`), plain(text));
  }
  return plain(text);
}

function plain(text) {
  const cut = text.length > shownText;
  return el('div', {}, el('pre', { class: 'text', tabindex: 0, role: 'region', 'aria-label': 'Text' }, cut ? text.slice(0, shownText) : text),
    cut && el('p', { class: 'soft' }, 'Cut here: download it for the rest.'));
}
