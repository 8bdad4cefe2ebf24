// Words for times, durations and events.

export function duration(ms) {
  if (!Number.isFinite(ms) || ms < 0) return '';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.round((ms % 60_000) / 1000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function ago(iso, now = Date.now()) {
  const ms = now - Date.parse(iso);
  if (!Number.isFinite(ms)) return '';
  if (ms < 5_000) return 'just now';
  if (ms < 60_000) return `${Math.floor(ms / 1000)} s ago`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ago`;
  if (ms < 86_400_000) return `${Math.floor(ms / 3_600_000)} h ago`;
  return new Date(iso).toLocaleDateString();
}

export function clock(iso) {
  const d = new Date(iso);
  if (Number.isNaN(d.getTime())) return String(iso);
  const two = (n) => String(n).padStart(2, '0');
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${String(d.getMilliseconds()).padStart(3, '0')}`;
}

// outcome sorts event types for their colour.
export function outcome(type) {
  if (type === 'workflow.cancelled') return 'cancelled';
  if (type.endsWith('.failed')) return 'failed';
  if (type.endsWith('.completed') || type.endsWith('.confirmed')) return 'done';
  if (type.endsWith('.started') || type === 'workflow.progressed') return 'running';
  return 'plain';
}

// summary is the one line a timeline shows of an event.
export function summary(event) {
  const d = event.data ?? {};
  const parts = [];
  const add = (v) => { if (v !== undefined && v !== null && v !== '') parts.push(String(v)); };
  switch (event.type) {
    case 'workflow.created': add(d.name); break;
    case 'workflow.started': add(d.stage && `begins with ${d.stage}`); break;
    case 'workflow.progressed':
      add(`${d.percent ?? 0} %`); add(d.stage); add(d.attempt > 1 && `try ${d.attempt}`); add(d.message); break;
    case 'a2a.request': add(`${d.stage} asked of ${d.to}`); add(d.attempt > 1 && `try ${d.attempt}`); break;
    case 'a2a.response': add(d.status); add(d.percent && `${d.percent} %`); add(d.message); add(d.reason); break;
    default:
      add(d.attempt > 1 && `try ${d.attempt}`); add(d.worker && `on ${d.worker}`);
      add(d.duration_ms !== undefined && duration(d.duration_ms)); add(d.code); add(d.reason);
      if (d.summary && typeof d.summary === 'object') add(figures(d.summary));
  }
  return parts.filter((p) => p !== 'false').join(' · ');
}

function figures(summary) {
  return Object.entries(summary).filter(([, v]) => typeof v !== 'object').slice(0, 4).map(([k, v]) => `${k} ${v}`).join(', ');
}
