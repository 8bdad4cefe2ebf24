// The address after the #: #/, #/workflows/<id>, #/new, #/health, #/sign-in; after a ? what is filtered.

export function read(hash = location.hash) {
  const [path, query = ''] = hash.replace(/^#/, '').split('?');
  const parameters = new URLSearchParams(query);
  const parts = path.split('/').filter(Boolean);
  if (parts.length === 0) return { view: 'list', parameters };
  if (parts.length === 1 && ['new', 'health', 'sign-in'].includes(parts[0])) return { view: parts[0], parameters };
  if (parts.length === 2 && parts[0] === 'workflows') {
    try {
      return { view: 'workflow', id: decodeURIComponent(parts[1]), parameters };
    } catch { /* not written by us */ }
  }
  return { view: 'lost', parameters };
}

export const workflowAddress = (id) => `#/workflows/${encodeURIComponent(id)}`;

// remember puts a view's filter into the address, without a step in the browser's history.
export function remember(path, parameters) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, v]) => v)).toString();
  history.replaceState(null, '', `#${path}${query ? `?${query}` : ''}`);
}
