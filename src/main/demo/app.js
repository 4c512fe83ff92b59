// The demo: one connection at a time, shown as it goes through the two doors and out again.
// What the server sends is data: everything is put on the page with textContent, never as markup.

const CONTROL = 'sallyport.v1';
const VESTIBULE_MS = 5000;  // the route's auth_timeout, so that the wait can be shown
const GROUPS_MAX = 6;       // attempts, events and messages that are kept: a tab may stay open for days
const EVENTS_MAX = 80;
const MESSAGES_MAX = 200;

const KINDS = { short: 'short-lived token', valid: 'valid token', expired: 'expired token', forged: 'forged token', none: 'no token' };
const CARRIERS = { first_message: 'first message', subprotocol: 'subprotocol' };

// What each close means and what a client does about it. `again` is the label of the way on; without one
// there is nothing a client could do.
const SIGN_IN = 'ask the user to sign in; the same token again cannot help.';
const BY_REASON = {
  __proto__: null,  // the reason comes from outside
  token_expired: ['The token ran out, and the socket ended with it.', 'fetch a token and reconnect.', 'Fetch a token and reconnect'],
  token_not_yet_valid: ['The token is for later.', 'fetch a token and reconnect.', 'Fetch a token and reconnect'],
  invalid_token: ['The token was not signed by a key that this server trusts.', SIGN_IN, 'Sign in and connect'],
  missing_credentials: ['There was no token.', SIGN_IN, 'Sign in and connect'],
  auth_timeout: ['Nothing was proven in time, so the first door opened again.', 'retry with a token.', 'Retry with a token'],
  subject_changed: ['The refresh named someone else. A socket never changes its user.', SIGN_IN, 'Sign in and connect'],
  token_revoked: ['The token was revoked.', SIGN_IN, 'Sign in and connect'],
  logged_out: ['The user has logged out.', SIGN_IN, 'Sign in and connect'],
  forbidden: ['The user may not be here (any more).', 'stop; a retry gets the same answer.'],
  evicted: ['A newer connection of the same user took this one’s place.', 'stop; a retry would throw the other one out.'],
  rate_limited: ['Too much, too fast.', 'back off, then reconnect.', 'Reconnect'],
  session_ended: ['The longest session was reached.', 'reconnect.', 'Reconnect'],
  restart: ['The server is going down and says so.', 'reconnect after a random delay.', 'Reconnect'],
  unavailable: ['The token could not be checked just now.', 'back off, then reconnect.', 'Reconnect'],
};
const BY_CODE = {
  1000: ['You left.', 'do nothing; the end was wanted.', 'Connect again'],
  1006: ['The connection broke, or the server is not there: no Close frame came.', 'back off, then reconnect.', 'Reconnect'],
  1008: ['The server did not like what it was sent.', 'back off, then reconnect.', 'Reconnect'],
  1011: ['Something broke in the server.', 'back off, then reconnect.', 'Reconnect'],
};
const NO_TOKEN = ['No token was to be had, so no socket was opened.', 'back off, then try again.', 'Try again'];
const UNKNOWN = ['The server ended the connection.', 'back off, then reconnect.', 'Reconnect'];

const STATES = {
  idle: ['Not connected', 'Choose a token and connect.'],
  connecting: ['At the first door', 'The handshake is on its way.'],
  vestibule: ['In the vestibule', 'The socket is open. Nothing passes before a token is proven.'],
  ready: ['Inside', 'Every message is checked against this login.'],
  expiring: ['Inside, not for long', 'The server has given its warning: refresh, or be shown out.'],
  closed: ['Shown out', 'The socket has ended.'],
};

const at = (id) => document.getElementById(id);
const calm = matchMedia('(prefers-reduced-motion: reduce)');
let current = null;  // the attempt that the page shows; older ones may still be closing

// ---- small things

function make(tag, name, ...content) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...content);  // strings become text nodes
  return element;
}

/** Keeps the newest children of a list that grows. */
const trim = (list, most) => { while (list.children.length > most) list.firstElementChild.remove(); };

/** A token is never shown whole, not even one that is worth nothing elsewhere. */
const redacted = (token) => `${token.slice(0, 6)}…`;

function wire(message) {
  return JSON.stringify(message, (key, value) => (key === 'token' || key === 'resume' ? redacted(value) : value));
}

/** JSON has no spaces; it may be broken behind a comma or colon, so that no word of it has to be. */
function breakable(text) {
  return text.split(/(?<=[,:])(?=["\d{[])/).flatMap((part) => [part, document.createElement('wbr')]);
}

function parse(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === 'object' ? value : {};
  } catch {
    return {};
  }
}

const clock_time = (seconds) => new Date(seconds * 1000).toLocaleTimeString();

function duration(ms) {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds >= 60) return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
  return calm.matches ? `${Math.ceil(seconds)} s` : `${seconds.toFixed(1)} s`;
}

/** `code` is undefined when it never came to a socket. */
const advice = (code, reason) => (code === undefined ? NO_TOKEN : BY_REASON[reason] ?? BY_CODE[code] ?? UNKNOWN);

function usable(control, yes) {
  // aria-disabled instead of disabled: a button that is taken away takes the keyboard's place with it.
  control.setAttribute('aria-disabled', String(!yes));
}
const is_usable = (control) => control.getAttribute('aria-disabled') !== 'true';

// ---- the timeline

function begin_group(attempt) {
  const timeline = at('timeline');
  timeline.querySelector('.empty')?.remove();
  const title = `${KINDS[attempt.kind]}${attempt.kind === 'none' ? '' : `, ${CARRIERS[attempt.transport]}`}`;
  const list = make('ol', 'events');
  const heading = make('h3', '', title[0].toUpperCase() + title.slice(1),
                       make('time', '', new Date().toLocaleTimeString()));
  timeline.prepend(make('div', 'attempt', heading, list));
  while (timeline.children.length > GROUPS_MAX) timeline.lastElementChild.remove();
  return list;
}

/** One step. `sent` and `heard` are what went over the wire; `tone` is a colour that says the same as the words. */
function note(attempt, title, { text, sent, heard, tone = 'plain' } = {}) {
  const after = `+${((performance.now() - attempt.started) / 1000).toFixed(2)} s`;
  const body = make('div', '', make('b', '', title));
  if (text) body.append(make('p', '', text));
  if (sent) body.append(make('code', 'sent', make('span', 'unseen', 'Sent: '), ...breakable(sent)));
  if (heard) body.append(make('code', 'heard', make('span', 'unseen', 'Received: '), ...breakable(heard)));
  const item = make('li', '', make('span', 'after', after), body);
  item.dataset.tone = tone;
  attempt.list.append(item);
  trim(attempt.list, EVENTS_MAX);
  return item;
}

// ---- the stage

const LIVE = ['ready', 'expiring'];
const is_live = (attempt) => attempt !== null && LIVE.includes(attempt.state);

function enter(attempt, state) {
  attempt.state = state;
  if (attempt === current) show(attempt);
}

function show(attempt) {
  const { state } = attempt;
  const [title, text] = STATES[state];
  document.body.dataset.state = state;
  at('state-title').textContent = is_live(attempt) && state === 'ready' ? `${title}, as ${attempt.subject}` : title;
  at('state-text').textContent = text;
  const live = is_live(attempt);
  for (const id of ['refresh', 'refresh-other']) usable(at(id), live);
  usable(at('leave'), state !== 'idle' && state !== 'closed');
  at('connect').textContent = live || state === 'vestibule' ? 'Reconnect' : 'Connect';
  if (state !== 'closed') at('verdict').hidden = true;
  show_composer(attempt);
  tick();
}

/** On a phone the stage is below the form, where nobody would see what the button did. */
function bring_into_view() {
  const stage = at('connection');
  if (stage.getBoundingClientRect().top < innerHeight * 0.6) return;
  stage.scrollIntoView({ block: 'start', behavior: calm.matches ? 'auto' : 'smooth' });
}

function show_verdict(attempt, code, reason) {
  const [means, what, again] = advice(code, reason);
  at('verdict-code').textContent = code ?? 'No socket';
  at('verdict-reason').textContent = reason || (code === 1000 ? 'normal' : code ? 'no reason given' : '');
  at('verdict-means').textContent = means;
  at('verdict-advice').textContent = what;
  at('again').textContent = again ?? '';
  at('again').hidden = !again;
  at('verdict').hidden = false;
  const [title, text] = code === 1000 ? ['You left', 'The socket was closed from this side.']
    : attempt.subject === null ? ['Not let in', 'The second door never opened.'] : STATES.closed;
  at('state-title').textContent = title;
  at('state-text').textContent = text;
  document.body.dataset.left = String(code === 1000);
}

/** Draws the time that is left. The inner door stands open by as much. */
function tick() {
  const limit = current?.limit;
  const left = limit ? limit.until - Date.now() : 0;
  const share = limit ? Math.min(1, Math.max(0, left / (limit.until - limit.from))) : Number(is_live(current));
  at('plan').style.setProperty('--open', String(is_live(current) ? 0.12 + 0.88 * share : 0));
  at('clock').hidden = !limit;
  if (!limit) return;
  at('clock-number').textContent = duration(left);
  at('clock-caption').textContent = left > 0 ? limit.caption : limit.after;
  at('fuse').style.transform = `scaleX(${share})`;
}

function hold_until(attempt, expires_at) {
  attempt.limit = expires_at === null ? null
    : { from: Date.now(), until: expires_at * 1000, caption: 'until the login ends', after: 'leeway, then out' };
}

// ---- the connection

async function fetch_token(kind, name) {
  const answer = await fetch(`/demo/token?${new URLSearchParams({ kind, name })}`);
  if (!answer.ok) throw new Error(`The token endpoint answered ${answer.status}.`);
  return answer.json();
}

function send(attempt, message) {
  attempt.socket.send(JSON.stringify(message));
  return wire(message);
}

async function connect(choice) {
  if (current) leave(current);
  const attempt = { ...choice, state: 'idle', started: performance.now(), socket: null, subject: null,
                    limit: null, warned: false, refreshing: false, joined: false };
  attempt.list = begin_group(attempt);
  current = attempt;
  enter(attempt, 'connecting');
  bring_into_view();
  remember(attempt);
  const token = await token_for(attempt);
  if (attempt === current && attempt.state === 'connecting' && token !== undefined) open_socket(attempt, token);
}

/** A token, null when none is to be presented, undefined when there is none to be had. */
async function token_for(attempt) {
  if (attempt.kind === 'none') return null;
  try {
    const { token, expires_at } = await fetch_token(attempt.kind, attempt.name);
    const runs_out = expires_at * 1000 > Date.now() ? 'runs out' : 'ran out';
    note(attempt, 'Token fetched', { text: `For ${attempt.name}; it ${runs_out} at ${clock_time(expires_at)}.` });
    return token;
  } catch (error) {
    note(attempt, 'No token to be had', { text: `${error.message} Is the demo still running?`, tone: 'shut' });
    finish(attempt, undefined, '');
    return undefined;
  }
}

function open_socket(attempt, token) {
  const protocols = [CONTROL];
  if (token && attempt.transport === 'subprotocol') protocols.push(`bearer.${token}`);
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  const path = `/chat/${encodeURIComponent(attempt.room)}`;
  const socket = new WebSocket(`${scheme}://${location.host}${path}`, protocols);
  attempt.socket = socket;
  const offered = protocols.map((item) => (item === CONTROL ? item : `bearer.${redacted(token)}`)).join(', ');
  note(attempt, 'Handshake', { sent: `GET ${path}\nSec-WebSocket-Protocol: ${offered}`, tone: 'going' });
  socket.addEventListener('open', () => opened(attempt, token));
  socket.addEventListener('message', (event) => heard(attempt, event.data));
  socket.addEventListener('close', (event) => finish(attempt, event.code, event.reason));
}

function opened(attempt, token) {
  // A server cannot tell a browser of a refusal before the socket is open: the answer is the next frame.
  const shown = token && attempt.transport === 'subprotocol';
  note(attempt, 'Socket open', { text: shown ? 'The token came along with the handshake. The next frame says whether it was accepted.'
                                   : 'Past the first door, with nothing proven yet.',
                                 heard: `101 Switching Protocols\nSec-WebSocket-Protocol: ${attempt.socket.protocol}`, tone: 'going' });
  const now = Date.now();
  if (!shown) attempt.limit = { from: now, until: now + VESTIBULE_MS, caption: 'to prove who you are', after: 'time is up' };
  enter(attempt, 'vestibule');
  if (token && attempt.transport === 'first_message') {
    note(attempt, 'First message', { sent: send(attempt, { type: 'auth', token }), tone: 'going' });
  }
}

const HANDLERS = {
  ready(attempt, message) {
    attempt.subject = message.subject;
    hold_until(attempt, message.expires_at);
    note(attempt, 'Ready', { text: `Proven to be ${message.subject}. The second door is open.`, heard: wire(message), tone: 'open' });
    enter(attempt, 'ready');
    send(attempt, { type: 'subscribe', channel: `room/${attempt.room}`, id: 1 });
  },
  subscribed(attempt, message) {
    attempt.joined = true;
    note(attempt, `Joined ${message.channel}`, { heard: wire(message) });
    if (attempt === current) enter_room(attempt);
  },
  expiring(attempt, message) {
    attempt.warned = true;
    note(attempt, `Expiring in ${message.expires_in} s`, { heard: wire(message), tone: 'warn' });
    enter(attempt, 'expiring');
    if (at('auto').checked) refresh(attempt, attempt.kind);
  },
  refreshed(attempt, message) {
    attempt.warned = false;
    hold_until(attempt, message.expires_at);
    note(attempt, 'Refreshed', { text: `Same socket, good until ${clock_time(message.expires_at)}.`, heard: wire(message), tone: 'open' });
    enter(attempt, 'ready');
  },
  error(attempt, message) {
    note(attempt, 'The server refused a request', { heard: wire(message), tone: 'warn' });
  },
  message(attempt, message) {
    if (attempt === current) say(attempt, message);
  },
};

function heard(attempt, data) {
  const message = parse(data);
  if (Object.hasOwn(HANDLERS, message.type)) HANDLERS[message.type](attempt, message);
}

async function refresh(attempt, kind) {
  if (!is_live(attempt) || attempt.refreshing) return;
  attempt.refreshing = true;
  try {
    const { token } = await fetch_token(kind, attempt.name);
    if (!is_live(attempt)) return;  // it has ended while the token was on its way
    const text = kind === 'other_user' ? 'With a good token of somebody else.' : undefined;
    note(attempt, 'Refresh', { text, sent: send(attempt, { type: 'refresh', token }), tone: 'going' });
  } catch (error) {
    note(attempt, 'No token to refresh with', { text: error.message, tone: 'warn' });
  } finally {
    attempt.refreshing = false;
  }
}

function leave(attempt) {
  if (attempt.state === 'closed' || attempt.state === 'idle') return;
  if (attempt.socket) attempt.socket.close(1000);
  else finish(attempt, 1000, '');  // the token is still on its way, there is no socket
}

function finish(attempt, code, reason) {
  if (attempt.state === 'closed') return;
  const [means, what] = advice(code, reason);
  attempt.limit = null;
  if (code !== undefined) {
    const tone = code === 1000 ? 'plain' : 'shut';
    const item = note(attempt, `Closed ${code}${reason ? ` ${reason}` : ''}`, { text: `${means} A client should ${what}`, tone });
    item.dataset.close = String(code);
  }
  if (attempt === current && attempt.joined) say_system('The socket has ended.');
  attempt.joined = false;
  enter(attempt, 'closed');
  if (attempt === current) show_verdict(attempt, code, reason);
}

// ---- the room

function show_composer(attempt) {
  const open = is_live(attempt) && attempt.joined;
  const input = at('text');
  input.readOnly = !open;  // keeps what has been typed, and the focus
  input.placeholder = open ? `Message as ${attempt.subject}` : 'Connect to talk';
  usable(input, open);
  usable(at('send'), open);
}

function show_room(room) {
  at('chat-room').textContent = room;
  at('second').href = `/?${new URLSearchParams({ room, join: '1' })}`;
}

/** What was said in one room stays there. */
function enter_room(attempt) {
  const list = at('messages');
  if (list.dataset.room !== attempt.room) list.replaceChildren();
  list.dataset.room = attempt.room;
  show_room(attempt.room);
  show_composer(attempt);
  say_system(`You are in, as ${attempt.subject}.`);
}

function add_message(item) {
  const list = at('messages');
  const at_end = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(item);
  trim(list, MESSAGES_MAX);
  if (at_end) list.scrollTop = list.scrollHeight;  // whoever reads further up is left alone
}

const say_system = (text) => add_message(make('li', 'system', text));

function say(attempt, message) {
  const text = message.data?.text;
  if (typeof text !== 'string') return;  // anyone in the room may publish any JSON
  const mine = message.subject === attempt.subject;
  add_message(make('li', mine ? 'mine' : '', make('b', '', String(message.subject)), make('p', '', text)));
}

function publish(attempt, text) {
  send(attempt, { type: 'publish', channel: `room/${attempt.room}`, data: { text } });
}

// ---- the form

function chosen() {
  const data = new FormData(at('choice'));
  return Object.fromEntries(['kind', 'transport', 'name', 'room'].map((key) => [key, data.get(key)]));
}

function show_choice() {
  const { kind, transport, room } = chosen();
  const [protocol, then] = kind === 'none' ? ['', '']
    : transport === 'subprotocol' ? [', "bearer." + token', '']
      : ['', '\nsocket.onopen = () => socket.send(\n  JSON.stringify({ type: "auth", token }));'];
  at('snippet').textContent = `const socket = new WebSocket(url,\n  ["${CONTROL}"${protocol}]);${then}`;
  if (!is_live(current)) show_room(room);
}

/** The name and room of the last connection come back after a reload; every tab has its own. */
function remember({ name, room }) {
  sessionStorage.setItem('name', name);
  sessionStorage.setItem('room', room);
}

function suggest_name() {
  const birds = ['heron', 'wren', 'swift', 'rook', 'lark', 'finch', 'plover', 'tern'];
  const [which, number] = crypto.getRandomValues(new Uint8Array(2));
  return `${birds[which % birds.length]}-${10 + (number % 90)}`;
}

function connect_with(kind) {
  const radio = at('choice').elements.kind;
  radio.value = kind;
  show_choice();
  if (at('choice').reportValidity()) connect(chosen());
}

function on_press(id, act) {
  at(id).addEventListener('click', () => { if (is_usable(at(id))) act(); });
}

function listen() {
  at('choice').addEventListener('input', show_choice);
  at('choice').addEventListener('submit', (event) => {
    event.preventDefault();
    connect(chosen());
  });
  at('say').addEventListener('submit', (event) => {
    event.preventDefault();
    const text = at('text').value.trim();
    if (!text || !is_usable(at('send'))) return;
    publish(current, text);
    at('text').value = '';
  });
  on_press('refresh', () => refresh(current, current.kind));
  on_press('refresh-other', () => refresh(current, 'other_user'));
  on_press('leave', () => leave(current));
  on_press('again', () => {
    connect_with(chosen().kind === 'valid' ? 'valid' : 'short');
    at('connection').focus({ preventScroll: true });  // the button is gone
  });
  at('auto').addEventListener('change', () => {
    if (at('auto').checked && current?.warned) refresh(current, current.kind);
  });
}

function start() {
  const asked = new URLSearchParams(location.search);
  at('name').value = sessionStorage.getItem('name') ?? suggest_name();
  at('room').value = asked.get('room') ?? sessionStorage.getItem('room') ?? 'blue';
  listen();
  show_choice();
  setInterval(tick, calm.matches ? 1000 : 100);
  if (asked.has('join')) connect_with('valid');
}

start();
