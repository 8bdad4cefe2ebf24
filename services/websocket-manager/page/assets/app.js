// Puts the parts together. The workflow that is looked at stands in the address, after the #.
import { setAttr, setText } from './dom.js';
import { Feed } from './feed.js';
import { List } from './list.js';
import { Workflow } from './workflow.js';

const words = {
  connecting: 'Connecting', live: 'Live', reconnecting: 'Connection lost, trying again',
  outdated: 'This page is outdated, reload it',
};

const list = new List();
const workflow = new Workflow();
let selected = null;

const feed = new Feed({
  state(name) {
    const node = document.getElementById('connection');
    setAttr(node, 'data-state', name);
    setText(node.querySelector('.words'), words[name]);
  },
  rows(rows, snapshot) {
    list.update(rows, snapshot);
    if (selected && rows.some((r) => r.workflow_id === selected)) workflow.row(list.row(selected));
  },
  begin: (reset) => workflow.begin(reset),
  event: (seq, event) => workflow.event(seq, event),
  gap: (from, to) => workflow.gap(from, to),
  live: () => workflow.live(),
});

function go() {
  let id = null;
  try {
    id = decodeURIComponent(location.hash.slice(1)) || null;
  } catch { /* not written by us */ }
  if (id === selected) return;
  selected = id;
  list.select(id);
  workflow.open(id, id && list.row(id));
  feed.watch(id);
}

addEventListener('hashchange', go);
addEventListener('keydown', (e) => {
  if (e.key === 'Escape' && selected) location.hash = '';
  if (e.key === '/' && e.target.tagName !== 'INPUT') {
    e.preventDefault();
    document.getElementById('search').focus();
  }
});
go();
