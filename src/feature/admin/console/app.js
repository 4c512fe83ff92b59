// The console: asks the admin API for what it shows, and for what its buttons do. The token is in one variable and
// nowhere else. What the server answers is data: everything is put on the page with textContent, never as markup.

const EVERY_MS = 2000;     // between two looks
const PAGE_ROWS = 50;
const LISTED_MAX = 200;    // revocations and channels that are shown; the figures count all of them
const SOON_S = 60;         // an end that is near

const at = (id) => document.getElementById(id);
let token = null;
let leaving = new AbortController();  // cuts off what is asked when the user signs out
let cursors = [''];                   // of the pages up to the one that is shown
let after = null;                     // the cursor of the next page
let timer = 0;
let looking = false;

// ---- small things

function make(tag, name, ...content) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...content);  // strings become text nodes
  return element;
}

function usable(control, yes) {
  // aria-disabled instead of disabled: a button that is taken away takes the keyboard's place with it.
  control.setAttribute('aria-disabled', String(!yes));
}
const is_usable = (control) => control.getAttribute('aria-disabled') !== 'true';

function set_text(element, text) {
  if (element.textContent !== text) element.textContent = text;  // what has not changed is not read out again
}

function set_tone(element, tone) {
  if (tone) element.dataset.tone = tone;
  else delete element.dataset.tone;
}

const number = new Intl.NumberFormat('en');
const counted = (count, one, many = `${one}s`) => `${number.format(count)} ${count === 1 ? one : many}`;
const moment = (seconds) => new Date(seconds * 1000).toLocaleString();

/** "2 d 4 h", "1 h 5 min", "3:07", "12 s": two units at most. */
function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${number.format(Math.floor(s / 86400))} d ${Math.floor((s % 86400) / 3600)} h`;
}

function size(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let i = 0;
  for (; bytes >= 1024 && i < units.length - 1; i += 1) bytes /= 1024;
  return `${i === 0 ? bytes : bytes.toFixed(1)} ${units[i]}`;
}

function duration(seconds) {
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)}\u00a0µs`;
  return seconds < 1 ? `${Math.round(seconds * 1e3)}\u00a0ms` : `${seconds.toFixed(1)}\u00a0s`;
}

// ---- asking

class Refused extends Error {
  constructor(status, detail, retry_after) {
    super(detail);
    Object.assign(this, { status, retry_after });
  }
}

async function ask(method, path, body) {
  const answer = await fetch(path, {
    method, cache: 'no-store', credentials: 'omit', redirect: 'error', signal: leaving.signal,
    headers: { Authorization: `Bearer ${token}`, ...(body ? { 'Content-Type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const text = await answer.text();
  if (answer.ok) return answer.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text;
  let detail = '';
  try {
    const problem = JSON.parse(text);
    detail = problem.detail ?? problem.title ?? '';
  } catch { /* not from the API: the status has to do */ }
  throw new Refused(answer.status, detail || `The server answered ${answer.status}.`, answer.headers.get('retry-after'));
}

/** What went wrong, for a person. */
function sentence(error) {
  if (!(error instanceof Refused)) return 'The server cannot be reached.';
  const text = error.message.charAt(0).toUpperCase() + error.message.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

function show_link(text, tone) {
  set_text(at('link-text'), text);
  set_tone(at('link'), tone);
}

// ---- the gate

async function sign_in(text) {
  token = text;
  await ask('GET', '/v1/connections?limit=1');
  at('token').value = '';
  at('sign-in').hidden = true;
  at('inside').hidden = false;
  at('sign-out').hidden = false;
  at('link').hidden = false;
  show_link('Connected');
  document.body.dataset.state = 'inside';
  at('main').focus({ preventScroll: true });
  await look();
}

function sign_out(why = '') {
  token = null;
  leaving.abort();
  leaving = new AbortController();
  clearTimeout(timer);
  for (const id of ['rows', 'figures', 'revocations', 'channels']) at(id).replaceChildren();
  for (const form of document.querySelectorAll('form')) form.reset();
  at('by-route').replaceChildren(at('by-route').firstElementChild);
  at('revoke-result').hidden = true;
  at('confirm').close();
  cursors = [''];
  after = null;
  at('inside').hidden = true;
  at('sign-out').hidden = true;
  at('link').hidden = true;
  at('sign-in').hidden = false;
  at('gate-fault').textContent = why;
  document.body.dataset.state = 'outside';
  at('token').focus();
}

function why_not_in(error) {
  if (!(error instanceof Refused)) return 'The server cannot be reached.';
  if (error.status === 401) return 'That is not the admin token.';
  if (error.status === 429) return `Too many wrong tokens have been tried. Wait ${error.retry_after ?? 'some'} seconds.`;
  return sentence(error);
}

// ---- looking, again and again

async function look({ connections = at('live').checked } = {}) {
  if (token === null || looking) return;
  looking = true;
  clearTimeout(timer);
  try {
    const [metrics, channels, revocations] = await Promise.all([
      ask('GET', '/metrics'), ask('GET', '/v1/channels'), ask('GET', '/v1/revocations'),
      connections ? look_at_connections() : undefined,
    ]);
    const samples = parse_metrics(metrics);
    show_figures(samples);
    show_routes(samples);
    show_channels(channels.channels);
    show_revocations(revocations.revocations);
    if (sum(samples, 'sallyport_draining') > 0) show_link('Draining: no new connections are taken', 'warn');
    else show_link('Connected');
  } catch (error) {
    if (error.name === 'AbortError') return;
    if (error.status === 401 || error.status === 429) {
      sign_out('The admin token has changed, so you were signed out.');
      return;
    }
    show_link(`${sentence(error)} Trying again.`, 'shut');
  } finally {
    looking = false;
    if (token !== null) timer = setTimeout(look, EVERY_MS);
  }
}

async function look_at_connections() {
  const filter = Object.fromEntries(new FormData(at('filter')));
  const query = new URLSearchParams({ ...filter, limit: PAGE_ROWS, cursor: cursors.at(-1) });
  const shown = cursors.length;
  let page;
  try {
    page = await ask('GET', `/v1/connections?${query}`);
  } catch (error) {
    if (error.status !== 400 || shown === 1) throw error;
    cursors = [''];  // the place of the next page is of another run of the server
    return;
  }
  if (shown !== cursors.length) return;  // the user has turned the page meanwhile
  if (page.connections.length === 0 && shown > 1) {
    cursors.pop();
    return;
  }
  after = page.cursor || null;
  show_connections(page.connections);
}

// ---- figures

/** The samples of a page in Prometheus' text format: `[name, labels, value]`. */
function parse_metrics(text) {
  const samples = [];
  for (const line of text.split('\n')) {
    const parts = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!parts) continue;
    const labels = {};
    for (const [, name, value] of (parts[2] ?? '').matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[name] = value.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
    }
    samples.push([parts[1], labels, parts[3] === '+Inf' ? Infinity : Number(parts[3])]);
  }
  return samples;
}

function sum(samples, name, wanted = () => true) {
  return samples.reduce((all, [n, labels, value]) => (n === name && wanted(labels) ? all + value : all), 0);
}

/** The bucket in which 99 of 100 have been, "≤ 1 ms"; null while nothing has been counted. */
function p99(samples, name) {
  const buckets = samples.filter(([n]) => n === `${name}_bucket`)
    .map(([, labels, count]) => [labels.le === '+Inf' ? Infinity : Number(labels.le), count]);
  const all = buckets.at(-1)?.[1] ?? 0;
  if (all === 0) return null;
  const [bound] = buckets.find(([, count]) => count >= all * 0.99);
  return bound === Infinity ? `>\u00a0${duration(buckets.at(-2)[0])}` : `≤\u00a0${duration(bound)}`;
}

function most_frequent_refusal(samples) {
  const [, labels, value] = samples.filter(([n, { outcome }]) => n === 'sallyport_handshakes_total' && outcome === 'refused')
    .reduce((most, sample) => (sample[2] > most[2] ? sample : most), [null, null, 0]);
  return value > 0 ? `most often ${labels.reason}` : 'none so far';
}

function figures_of(samples) {
  const open = sum(samples, 'sallyport_connections', ({ state }) => state === 'authenticated' || state === 'reauthenticating');
  const pending = sum(samples, 'sallyport_pending_connections');
  const accepted = sum(samples, 'sallyport_handshakes_total', ({ outcome }) => outcome === 'accepted');
  const refused = sum(samples, 'sallyport_handshakes_total', ({ outcome }) => outcome === 'refused');
  const hits = sum(samples, 'sallyport_verification_cache_total', ({ result }) => result === 'hit');
  const misses = sum(samples, 'sallyport_verification_cache_total', ({ result }) => result === 'miss');
  const verified = p99(samples, 'sallyport_verification_seconds');
  const lag = p99(samples, 'sallyport_revocation_lag_seconds');
  const failures = sum(samples, 'sallyport_store_failures_total');
  const turn = p99(samples, 'sallyport_loop_delay_seconds');
  return [
    ['Connections', number.format(open), `${number.format(pending)} not authenticated`],
    ['Let in', number.format(accepted), 'since the start'],
    ['Refused', number.format(refused), most_frequent_refusal(samples)],
    ['Known credentials', hits + misses === 0 ? '–' : `${Math.round((100 * hits) / (hits + misses))} %`,
     verified ? `others verified in ${verified}` : 'nothing verified yet'],
    ['Revoked', number.format(sum(samples, 'sallyport_revoked_connections_total')),
     lag ? `applied in ${lag}` : 'none applied yet'],
    failures > 0 ? ['Store failures', number.format(failures), 'revocations may not be durable', 'shut']
      : ['Send queues', size(sum(samples, 'sallyport_queue_bytes')), counted(sum(samples, 'sallyport_subscriptions'), 'subscription')],
    ['Loop delay', turn ?? '–', `99 of 100 turns, ${counted(sum(samples, 'sallyport_workers'), 'worker').replace(' ', '\u00a0')}`],
  ];
}

function show_figures(samples) {
  const list = at('figures');
  figures_of(samples).forEach(([name, value, beside, tone], i) => {
    const box = list.children[i] ?? list.appendChild(make('div', '', make('dd', 'beside'), make('dd'), make('dt')));
    const [under, figure, title] = box.children;
    set_text(title, name);
    set_text(figure, value);
    set_text(under, beside);
    set_tone(box, tone);
  });
}

/** The routes to choose from are those that have had a connection. */
function show_routes(samples) {
  const select = at('by-route');
  const known = new Set([...select.options].map((option) => option.value));
  for (const [name, { route }] of samples) {
    if (name !== 'sallyport_connections' || !route?.startsWith('/') || known.has(route)) continue;
    known.add(route);
    select.append(new Option(route, route));
  }
}

// ---- connections

function cell(label, ...content) {
  const td = make('td', '', ...content);
  td.dataset.label = label;
  return td;
}

function new_row(connection) {
  const close = make('button', 'quiet ends', 'Close');
  const revoke = make('button', 'quiet', 'Revoke…');
  for (const button of [close, revoke]) button.type = 'button';
  close.setAttribute('aria-label', `Close the connection of ${connection.subject} from ${connection.address}`);
  revoke.setAttribute('aria-label', `Revoke logins of ${connection.subject}`);
  close.addEventListener('click', () => { if (is_usable(close)) close_connection(row, close); });
  revoke.addEventListener('click', () => fill_revocation(row.connection));
  const opened = cell('Opened');
  const expires = cell('Expires');
  opened.classList.add('time');
  expires.classList.add('time');
  const act = cell('', make('div', '', revoke, close));
  act.classList.add('act');
  const row = make('tr', '',
                   cell('Subject', make('div', '', make('b', '', connection.subject), make('small', '', connection.issuer))),
                   cell('Route', connection.route), cell('Address', connection.address), opened, expires,
                   cell('Credential', connection.credential), cell('Verifier', connection.verifier), act);
  row.dataset.id = connection.id;
  return row;
}

function show_times(row) {
  const now = Date.now() / 1000;
  const { opened_at, expires_at } = row.connection;
  const [opened, expires] = row.querySelectorAll('.time');
  set_text(opened, `${span(now - opened_at)} ago`);
  opened.title = moment(opened_at);
  if (expires_at === null) {
    set_text(expires, 'never');
    return;
  }
  const left = expires_at - now;
  set_text(expires, left > 0 ? `in ${span(left)}` : 'now');
  expires.title = moment(expires_at);
  set_tone(expires, left <= 0 ? 'shut' : left < SOON_S ? 'warn' : '');
}

/** Rows that are there already stay, and with them the keyboard's place. */
function show_connections(connections) {
  const body = at('rows');
  const known = new Map([...body.children].map((row) => [row.dataset.id, row]));
  connections.forEach((connection, i) => {
    const row = known.get(connection.id) ?? new_row(connection);
    known.delete(connection.id);
    row.connection = connection;
    show_times(row);
    if (body.children[i] !== row) body.insertBefore(row, body.children[i] ?? null);
  });
  for (const row of known.values()) row.remove();
  const filtered = at('by-subject').value !== '' || at('by-route').value !== '';
  at('connections').hidden = connections.length === 0;
  at('rows-none').hidden = connections.length > 0;
  set_text(at('rows-none'), filtered ? 'No connection matches.' : 'Nobody is connected.');
  set_text(at('page-text'), cursors.length > 1 || after ? `Page ${cursors.length}, ${counted(connections.length, 'connection')}`
                                                        : counted(connections.length, 'connection'));
  usable(at('previous'), cursors.length > 1);
  usable(at('next'), after !== null);
}

async function close_connection(row, button) {
  usable(button, false);
  row.classList.add('gone');
  try {
    await ask('DELETE', `/v1/connections/${encodeURIComponent(row.connection.id)}`);
  } catch (error) {
    if (error.status !== 404) {  // it may have ended by itself
      row.classList.remove('gone');
      usable(button, true);
      show_link(sentence(error), 'shut');
      return;
    }
  }
  await look_now();
}

/** What the user has just done is shown at once, also while the table is not live. */
async function look_now() {
  clearTimeout(timer);
  while (looking) await new Promise((resolve) => setTimeout(resolve, 20));
  await look({ connections: true });
}

function turn_to(pages) {
  cursors = pages;
  look_now();
}

// ---- revoking

const SELECTORS = ['subject', 'session', 'token_id', 'issuer'];

/** The form as the API takes it. */
function chosen_revocation() {
  const data = Object.fromEntries(new FormData(at('revoke')));
  const body = {};
  for (const name of SELECTORS) if (data[name] !== '') body[name] = data[name];
  if (data.issued_before !== '') body.issued_before = Math.floor(new Date(data.issued_before).getTime() / 1000);
  const selects = Object.keys(body).length > 0;
  body.reason = data.reason;
  if (data.keep !== '') body.keep = data.keep;
  return { body, selects, narrow: SELECTORS.slice(0, 3).some((name) => name in body) };
}

function whom({ subject, session, token_id, issuer }) {
  const parts = [];
  if (token_id !== undefined) parts.push(`token ${token_id}`);
  if (session !== undefined) parts.push(`session ${session}`);
  if (subject !== undefined) parts.push(parts.length > 0 ? `of ${subject}` : `every login of ${subject}`);
  if (parts.length === 0) parts.push('every login of everybody');
  if (issuer !== undefined) parts.push(`by ${issuer}`);
  return parts.join(' ');
}

/** How long it holds, as the server decides it. */
function how_long({ subject, session, token_id, issuer, issued_before, keep }) {
  if (keep !== undefined) return `for ${keep}`;
  const lasts = session === undefined && token_id === undefined && issued_before === undefined;
  return lasts && (subject !== undefined || issuer !== undefined) ? 'until it is lifted' : 'for as long as is configured';
}

function show_meaning() {
  const { body, selects } = chosen_revocation();
  if (!selects) return set_text(at('revoke-means'), 'Say whose logins are to end.');
  const before = body.issued_before !== undefined ? ` that was issued before ${moment(body.issued_before)}` : '';
  return set_text(at('revoke-means'), `Ends ${whom(body)}${before}, and keeps it out ${how_long(body)}.`);
}

function fill_revocation({ subject, issuer }) {
  const form = at('revoke');
  form.reset();
  form.elements.subject.value = subject;
  form.elements.issuer.value = issuer;
  at('revoke-result').hidden = true;
  show_meaning();
  at('revoke-panel').scrollIntoView({ block: 'nearest' });
  form.elements.subject.focus();
}

function confirmed(title, text, yes) {
  const dialog = at('confirm');
  at('confirm-title').textContent = title;
  at('confirm-text').textContent = text;
  at('confirm-yes').textContent = yes;
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}

function show_result(text, tone) {
  at('revoke-result').hidden = false;
  set_tone(at('revoke-result'), tone);
  at('revoke-result').textContent = text;
}

async function revoke() {
  const { body, selects, narrow } = chosen_revocation();
  if (!selects) return show_result('Say whose logins are to end.', 'shut');
  if (!narrow && !await confirmed('End the logins of everybody?', `${at('revoke-means').textContent} This cannot be taken back for connections that it ends.`, 'End them')) {
    return undefined;
  }
  try {
    const { id, closed, nodes } = await ask('POST', '/v1/revocations', body);
    const slowest = Math.max(0, ...nodes.map(({ applied_ms }) => applied_ms));
    show_result(`Revocation ${id} holds. It closed ${counted(closed, 'connection')}, within ${slowest} ms${nodes.length > 1 ? ` on ${nodes.length} nodes` : ''}.`, 'open');
    at('revoke').reset();
    show_meaning();
  } catch (error) {
    show_result(sentence(error), error.status === 503 ? 'warn' : 'shut');
  }
  return look_now();
}

async function lift(id, button) {
  usable(button, false);
  try {
    await ask('DELETE', `/v1/revocations/${id}`);
    show_result(`Revocation ${id} is lifted.`);
  } catch (error) {
    if (error.status !== 404) show_result(sentence(error), 'shut');
  }
  await look_now();
}

function new_revocation(revocation) {
  const before = revocation.issued_before !== undefined ? `, issued before ${moment(revocation.issued_before)}` : '';
  const title = whom(revocation);
  const button = make('button', 'quiet', 'Lift');
  button.type = 'button';
  button.setAttribute('aria-label', `Lift revocation ${revocation.id}: ${title}`);
  button.addEventListener('click', () => { if (is_usable(button)) lift(revocation.id, button); });
  const item = make('li', '', make('p', '', make('b', '', title.charAt(0).toUpperCase() + title.slice(1)), before, make('small')), button);
  item.dataset.id = String(revocation.id);
  item.revocation = revocation;
  return item;
}

function show_term(item) {
  const { id, reason, until } = item.revocation;
  const left = until === null ? 'until it is lifted' : `for another ${span(until - Date.now() / 1000)}`;
  set_text(item.querySelector('small'), `${id}, ${reason}, ${left}`);
}

/** The newest first. */
function show_revocations(revocations) {
  const list = at('revocations');
  const known = new Map([...list.children].map((item) => [item.dataset.id, item]));
  revocations.slice(-LISTED_MAX).reverse().forEach((revocation, i) => {
    const item = known.get(String(revocation.id)) ?? new_revocation(revocation);
    known.delete(String(revocation.id));
    item.revocation = revocation;
    show_term(item);
    if (list.children[i] !== item) list.insertBefore(item, list.children[i] ?? null);
  });
  for (const item of known.values()) item.remove();
  at('revocations-none').hidden = revocations.length > 0;
  const more = revocations.length > LISTED_MAX ? `the newest ${LISTED_MAX} of ` : '';
  set_text(at('revocations-count'), revocations.length > 0 ? `${more}${number.format(revocations.length)}` : '');
}

// ---- channels

function show_channels(channels) {
  const busiest = [...channels].sort((a, b) => b.subscribers - a.subscribers || (a.channel < b.channel ? -1 : 1));
  const list = at('channels');
  busiest.slice(0, LISTED_MAX).forEach(({ channel, subscribers }, i) => {
    const item = list.children[i] ?? list.appendChild(make('li', '', make('span'), make('b')));
    set_text(item.firstElementChild, channel);
    set_text(item.lastElementChild, number.format(subscribers));
    item.lastElementChild.setAttribute('aria-label', counted(subscribers, 'subscriber'));
  });
  while (list.children.length > Math.min(channels.length, LISTED_MAX)) list.lastElementChild.remove();
  at('channels-none').hidden = channels.length > 0;
  const more = channels.length > LISTED_MAX ? `the busiest ${LISTED_MAX} of ` : '';
  set_text(at('channels-count'), channels.length > 0 ? `${more}${number.format(channels.length)}` : '');
}

// ---- the page

function on_submit(id, act) {
  at(id).addEventListener('submit', (event) => {
    event.preventDefault();
    act();
  });
}
function on_press(id, act) {
  at(id).addEventListener('click', () => { if (is_usable(at(id))) act(); });
}

/** As the input takes it: local time to the second; the second that runs counts as issued before. */
function now_for_input() {
  const next = new Date(Math.ceil(Date.now() / 1000) * 1000);
  return new Date(next.getTime() - next.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

async function try_token() {
  const text = at('token').value.trim();
  at('gate-fault').textContent = '';
  if (!/^[\x21-\x7e]{16,4096}$/.test(text)) {
    at('gate-fault').textContent = 'An admin token has at least 16 characters and no spaces.';
    return;
  }
  try {
    await sign_in(text);
  } catch (error) {
    token = null;
    at('gate-fault').textContent = why_not_in(error);
    at('token').select();
  }
}

function listen() {
  on_submit('sign-in', try_token);
  on_press('sign-out', () => sign_out());
  on_submit('filter', () => turn_to(['']));
  at('by-route').addEventListener('change', () => turn_to(['']));
  on_press('clear', () => {
    at('filter').reset();
    turn_to(['']);
  });
  on_press('next', () => turn_to([...cursors, after]));
  on_press('previous', () => turn_to(cursors.slice(0, -1)));
  at('live').addEventListener('change', () => { if (at('live').checked) look_now(); });
  at('revoke').addEventListener('input', show_meaning);
  on_submit('revoke', revoke);
  on_press('issued-now', () => {
    at('issued-before').value = now_for_input();
    show_meaning();
  });
  setInterval(() => {
    if (token === null || document.hidden) return;
    for (const row of at('rows').children) show_times(row);
    for (const item of at('revocations').children) show_term(item);
  }, 1000);
}

listen();
show_meaning();
at('token').focus();
