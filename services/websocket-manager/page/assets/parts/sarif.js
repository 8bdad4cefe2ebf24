// Audit findings out of SARIF 2.1.0.
import { el, empty } from '../lib/dom.js';
import { count } from '../lib/format.js';

const ranks = ['critical', 'high', 'medium', 'low', 'info'];
const ofLevel = { error: 'high', warning: 'medium', note: 'low', none: 'info' };
const most = 500; // findings shown

// read returns [{severity, rule, about, place, message, tool}], the gravest first, and the tools' names.
export function readSARIF(text) {
  const findings = [], tools = [];
  for (const run of list(JSON.parse(text).runs)) {
    const driver = run?.tool?.driver ?? {};
    const about = new Map(list(driver.rules).map((r) => [r?.id, string(r?.shortDescription?.text ?? r?.fullDescription?.text)]));
    tools.push(string(driver.name) || 'a tool');
    for (const r of list(run?.results)) {
      const named = string(r?.properties?.severity).toLowerCase();
      const at = list(r?.locations)[0]?.physicalLocation ?? {};
      const line = Number(at.region?.startLine);
      findings.push({
        severity: ranks.includes(named) ? named : ofLevel[r?.level] ?? 'medium',
        rule: string(r?.ruleId) || 'no rule', about: about.get(r?.ruleId) ?? '',
        place: string(at.artifactLocation?.uri) + (line > 0 ? `:${line}` : ''),
        message: string(r?.message?.text), tool: string(driver.name),
      });
    }
  }
  findings.sort((a, b) => ranks.indexOf(a.severity) - ranks.indexOf(b.severity));
  return { findings, tools };
}

const list = (v) => (Array.isArray(v) ? v : []);
const string = (v) => (v === undefined || v === null ? '' : String(v));

export function showSARIF(text) {
  const { findings, tools } = readSARIF(text);
  const looked = tools.length ? `${tools.join(' and ')} looked.` : '';
  if (findings.length === 0) return empty('No findings', looked);
  const sums = ranks.map((r) => [r, findings.filter((f) => f.severity === r).length]).filter(([, n]) => n);
  return el('div', { class: 'report' },
    el('p', { class: 'sums' }, el('strong', {}, count(findings.length, 'finding')),
      sums.map(([r, n]) => el('span', { class: 'severity', 'data-severity': r }, `${n} ${r}`)), el('span', { class: 'soft' }, looked)),
    el('ul', { class: 'findings' }, findings.slice(0, most).map(finding)),
    findings.length > most && el('p', { class: 'soft' }, `and ${findings.length - most} more: download the report for all of them`));
}

function finding(f) {
  return el('li', { 'data-severity': f.severity },
    el('details', {},
      el('summary', {}, el('span', { class: 'severity', 'data-severity': f.severity }, f.severity),
        el('strong', {}, f.rule), el('code', {}, f.place || 'no place')),
      el('div', { class: 'finding' }, el('p', {}, f.message), f.about && !f.message.startsWith(f.about) && el('p', { class: 'soft' }, f.about),
        el('p', { class: 'soft' }, `found by ${f.tool || 'a tool without a name'}`))));
}
