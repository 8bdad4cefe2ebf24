// What a timeline says of an event in one line, and its colour.
import { duration } from './format.js';

export const stages = ['generation', 'audit', 'testing', 'deployment'];

// outcome sorts event types for their colour.
export function outcome(type) {
  if (type === 'workflow.cancelled') return 'cancelled';
  if (type.endsWith('.failed')) return 'failed';
  if (type.endsWith('.completed') || type.endsWith('.confirmed')) return 'done';
  if (type.endsWith('.started') || type === 'workflow.progressed') return 'running';
  return 'plain';
}

export function summary(event) {
  const d = event.data ?? {};
  const parts = [];
  const add = (v) => { if (v !== undefined && v !== null && v !== '' && v !== false) parts.push(String(v)); };
  switch (event.type) {
    case 'workflow.created': add(d.name); break;
    case 'workflow.started': add(d.stage && `begins with ${d.stage}`); break;
    case 'workflow.progressed':
      add(`${d.percent ?? 0} %`); add(d.stage); add(d.attempt > 1 && `try ${d.attempt}`); add(d.message); break;
    case 'a2a.request': add(`${d.stage} asked of ${d.to}`); add(d.attempt > 1 && `try ${d.attempt}`); break;
    case 'a2a.response':
      add(d.stage); add(d.status); add(d.percent > 0 && `${d.percent} %`); add(d.message); add(d.reason); break;
    default:
      add(d.attempt > 1 && `try ${d.attempt}`); add(d.worker && `on ${d.worker}`);
      add(d.duration_ms !== undefined && duration(Number(d.duration_ms))); add(d.code); add(d.reason);
      add(figures(d.summary));
  }
  return parts.join(' · ');
}

// figures are the first few values of a tool's summary.
export function figures(summary, most = 4) {
  if (!summary || typeof summary !== 'object') return '';
  return Object.entries(summary).filter(([, v]) => typeof v !== 'object').slice(0, most)
    .map(([k, v]) => `${k.replaceAll('_', ' ')} ${v}`).join(', ');
}

// result is what a stage's own tool says it made, in words; other tools' summaries are shown as they are.
export function result(stage, s) {
  if (!s || typeof s !== 'object') return '';
  if (stage === 'generation' && 'files' in s && 'template' in s) return `${s.files} files from ${s.template}`;
  if (stage === 'audit' && 'findings' in s && 'files' in s) return `${s.findings} ${s.findings === 1 ? 'finding' : 'findings'} in ${s.files} files`;
  if (stage === 'testing' && 'passed' in s) {
    const coverage = Number.isFinite(s.coverage_percent) ? ` · ${s.coverage_percent.toFixed(1)} % covered` : '';
    return `${s.passed} passed, ${s.failed ?? 0} failed${s.skipped ? `, ${s.skipped} skipped` : ''}${coverage}`;
  }
  if (stage === 'deployment' && 'version' in s) return `${s.service ?? ''} ${s.version}`.trim();
  return figures(s, 3);
}
