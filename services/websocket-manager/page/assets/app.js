// Puts the parts together: who looks, what is shown, and the connection that feeds it.
import { call } from './lib/api.js';
import { coordinator } from './lib/coordinator.js';
import { el, empty, setAttr, setText } from './lib/dom.js';
import { Feed } from './lib/feed.js';
import { shortcut } from './lib/keys.js';
import { read } from './lib/route.js';
import { session } from './lib/session.js';
import { help } from './parts/dialog.js';
import { Rows } from './parts/rows.js';
import { Health } from './views/health.js';
import { List } from './views/list.js';
import { SignIn } from './views/signin.js';
import { Start } from './views/start.js';
import { Workflow } from './views/workflow.js';

const words = {
  connecting: 'Connecting', live: 'Live', reconnecting: 'Reconnecting', outdated: 'Outdated, reload this page', off: 'Signed out',
};
const byID = (id) => document.getElementById(id);
const main = byID('main');
const rows = new Rows();
let view = null, workflow = null; // workflow: the view, when it is one of a workflow
let shown = ''; // the address of the view
let wanted = '#/'; // the address to go to after signing in
let places = new Map(); // address -> how far it was scrolled

const feed = new Feed({
  state(name) {
    setAttr(byID('connection'), 'data-state', name);
    setText(byID('connection').querySelector('.words'), words[name]);
    rows.setStale(name === 'reconnecting');
  },
  rows: (changed, snapshot) => rows.update(changed, snapshot),
  begin: (reset) => workflow?.begin(reset),
  event: (seq, event) => workflow?.event(seq, event),
  gap: (from, to) => workflow?.gap(from, to),
  live: () => workflow?.live(),
  missing: () => workflow?.missing(),
});

function show(next, id = null) {
  const first = !view;
  view?.close();
  view = next;
  workflow = id ? next : null;
  main.replaceChildren(next.root);
  document.title = next.title === 'Workflows' ? 'agentbus' : `${next.title} · agentbus`;
  feed.watch(id);
  if (next.focus) next.focus();
  else if (!first) main.focus({ preventScroll: true });
}

function go() {
  if (!session.who) return;
  const route = read();
  if (route.view === 'sign-in') { // signed in already
    history.replaceState(null, '', '#/');
    route.view = 'list';
  }
  places.set(shown, scrollY);
  shown = `${route.view} ${route.id ?? ''}`;
  for (const link of document.querySelectorAll('nav a')) {
    if (link.dataset.view === route.view) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  switch (route.view) {
    case 'list': show(new List(rows, route.parameters)); break;
    case 'workflow': show(new Workflow(route.id, rows), route.id); break;
    case 'new': show(new Start()); break;
    case 'health': show(new Health()); break;
    default: show({ title: 'Not found', close() {}, root: empty('There is nothing here', 'The address leads nowhere.', el('a', { class: 'button', href: '#/' }, 'All workflows')) });
  }
  scrollTo(0, route.view === 'list' ? places.get(shown) ?? 0 : 0);
}

function signedOut() {
  feed.stop();
  feed.watch(null);
  rows.forget();
  places = new Map();
  setAttr(byID('connection'), 'data-state', 'off');
  setText(byID('connection').querySelector('.words'), words.off);
  document.body.classList.add('out');
  if (read().view !== 'sign-in') {
    wanted = location.hash || '#/';
    history.replaceState(null, '', '#/sign-in');
  }
  if (!(view instanceof SignIn)) show(new SignIn());
}

session.addEventListener('change', () => {
  const who = session.who;
  byID('account').hidden = !who?.authentication;
  if (!who) return signedOut();
  setText(byID('who'), `${who.subject} · ${who.tenant}${who.operator ? ' · operator' : ''}`);
  document.body.classList.remove('out');
  feed.start();
  if (view && !(view instanceof SignIn)) return undefined;
  if (read().view === 'sign-in') history.replaceState(null, '', wanted);
  return go();
});

coordinator.addEventListener('change', () => { byID('coordinator').hidden = coordinator.up; });

// probe finds out that the coordinator is away, or back, also when nobody asks anything of it.
let probed = 0;
async function probe() {
  if (document.hidden || !session.who || Date.now() - probed < (coordinator.up ? 20_000 : 4_000)) return;
  probed = Date.now();
  await call('GET', 'v1/workflows?limit=1').catch(() => null); // the answer's status is what counts
}

async function begin() {
  for (let pause = 500; await session.load() === 'unreachable'; pause = Math.min(15_000, pause * 2)) {
    main.replaceChildren(empty('The server does not answer', 'It is tried again by itself.'));
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

addEventListener('hashchange', () => (session.who ? go() : signedOut()));
byID('sign-out').addEventListener('click', () => {
  session.signOut();
  wanted = '#/'; // somebody else may sign in next
});
byID('help').addEventListener('click', help);
shortcut('?', 'This list', help);
shortcut('l', 'All workflows', () => { location.hash = '#/'; });
shortcut('n', 'New workflow', () => { location.hash = '#/new'; });
shortcut('h', 'Health', () => { location.hash = '#/health'; });
setInterval(probe, 2_000);
begin();
