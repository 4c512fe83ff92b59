// Writes the part of TOML that a Sallyport configuration needs.

function value(v) {
  if (Array.isArray(v)) return `[${v.map(value).join(', ')}]`;
  if (v !== null && typeof v === 'object') {
    return `{ ${Object.entries(v).map(([k, item]) => `${key(k)} = ${value(item)}`).join(', ')} }`;
  }
  return JSON.stringify(v);  // strings, integers and booleans are written alike in both
}

const key = (k) => (/^[A-Za-z0-9_-]+$/.test(k) ? k : JSON.stringify(k));
const is_tables = (v) => Array.isArray(v) && v.length > 0 && typeof v[0] === 'object';

// Tables of their own; everything else, `claims` of a route for one, is written inline.
const TABLES = new Set(['server', 'tls', 'limits', 'log', 'verifier', 'admin', 'store']);

function table(name, content) {
  const plain = [];
  const below = [];
  for (const [k, v] of Object.entries(content)) {
    if (v === undefined) continue;
    const path = [...name, key(k)];
    if (is_tables(v)) {
      for (const item of v) below.push(`[[${path.join('.')}]]`, table(path, item));
    } else if (v !== null && typeof v === 'object' && !Array.isArray(v) &&
               (TABLES.has(k) || name[0] === 'verifier')) {
      if (k !== 'verifier') below.push(`[${path.join('.')}]`);
      below.push(table(path, v));
    } else {
      plain.push(`${key(k)} = ${value(v)}`);
    }
  }
  return [...plain, ...below].filter((line) => line !== '').join('\n');
}

export const toml = (content) => `${table([], content)}\n`;
