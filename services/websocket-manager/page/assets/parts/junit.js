// Test counts and failures out of JUnit XML.
import { el, empty } from '../lib/dom.js';
import { duration } from '../lib/format.js';

// The page refuses every other way from text to a document (trusted-types in its policy). This one makes
// an XML document that is never shown: only names and texts are taken out of it.
const policy = globalThis.trustedTypes?.createPolicy('report-xml', { createHTML: (text) => text });

const most = 300; // failures shown

// read returns {cases: [{suite, name, ms, state, why, text}]}.
export function readJUnit(text) {
  if (/<!DOCTYPE|<!ENTITY/i.test(text)) throw new Error('it has a document type, which no report needs');
  const xml = new DOMParser().parseFromString(policy ? policy.createHTML(text) : text, 'application/xml');
  if (xml.querySelector('parsererror')) throw new Error('it is not well-formed XML');
  if (!/^testsuites?$/.test(xml.documentElement.localName)) throw new Error('its first element is neither testsuites nor testsuite');
  return [...xml.querySelectorAll('testcase')].map((node) => {
    const bad = node.querySelector('failure, error'), skipped = node.querySelector('skipped');
    return {
      suite: node.getAttribute('classname') || node.parentElement?.getAttribute('name') || '',
      name: node.getAttribute('name') || 'a test without a name',
      ms: Number(node.getAttribute('time')) * 1000,
      state: bad ? 'failed' : skipped ? 'skipped' : 'passed',
      why: (bad ?? skipped)?.getAttribute('message') ?? '',
      text: (bad ?? skipped)?.textContent.trim() ?? '',
    };
  });
}

export function showJUnit(text) {
  const cases = readJUnit(text);
  if (cases.length === 0) return empty('No tests', 'The report names none.');
  const of = (state) => cases.filter((c) => c.state === state);
  const failed = of('failed'), skipped = of('skipped'), passed = of('passed');
  return el('div', { class: 'report' },
    el('p', { class: 'sums' },
      el('span', { class: 'figure', 'data-state': 'completed' }, el('strong', {}, String(passed.length)), ' passed'),
      el('span', { class: 'figure', 'data-state': failed.length ? 'failed' : '' }, el('strong', {}, String(failed.length)), ' failed'),
      el('span', { class: 'figure' }, el('strong', {}, String(skipped.length)), ' skipped'),
      el('progress', { class: failed.length ? 'share bad' : 'share', max: cases.length, value: passed.length, 'aria-label': 'Tests that passed' })),
    failed.length > 0 && el('ul', { class: 'findings' }, failed.slice(0, most).map((c) => single(c, failed.length === 1))),
    el('details', { class: 'all', open: failed.length === 0 && cases.length <= 40 }, el('summary', {}, `All ${cases.length} tests`),
      el('ul', { class: 'cases' }, cases.slice(0, 2_000).map((c) => el('li', { 'data-case': c.state },
        el('span', { class: 'verdict' }, c.state), el('span', { class: 'name' }, c.name), el('span', { class: 'soft suite' }, c.suite),
        el('span', { class: 'soft' }, c.ms > 0 ? duration(c.ms) : ''))))));
}

function single(c, open) {
  return el('li', { 'data-severity': 'high' },
    el('details', { open }, el('summary', {}, el('span', { class: 'severity', 'data-severity': 'high' }, 'failed'), el('strong', {}, c.name), el('code', {}, c.suite)),
      el('div', { class: 'finding' }, c.why && el('p', {}, c.why), c.text && el('pre', { tabindex: 0 }, c.text))));
}
