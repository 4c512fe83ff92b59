// The browser attaches the session's cookie to the WebSocket by itself: there is no token anywhere in this page.
const by_id = (id) => document.getElementById(id);
const log = (text) => { by_id('log').textContent += `${text}\n`; };
const post = (path, body) => fetch(path, {
  method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body ?? {}),
});

let socket;

function open(url) {
  socket = new WebSocket(url);
  socket.onopen = () => log('open');
  socket.onmessage = (event) => log(`received ${event.data}`);
  socket.onclose = (event) => log(`closed ${event.code} ${event.reason}`);  // 3000 token_revoked after signing out
}

async function show() {
  const { user, socket_url } = await (await fetch('/me')).json();
  by_id('login').hidden = user !== null;
  by_id('in').hidden = user === null;
  by_id('user').textContent = user ?? '';
  // Also without a login, to show that it is refused.
  if (!socket || socket.readyState === WebSocket.CLOSED) open(socket_url);
}

by_id('login').onsubmit = async (event) => {
  event.preventDefault();
  const answer = await post('/login', Object.fromEntries(new FormData(event.target)));
  by_id('error').textContent = answer.ok ? '' : 'That is not right.';
  if (answer.ok) await show();
};
by_id('send').onclick = () => { if (socket.readyState === WebSocket.OPEN) socket.send('hello'); };
by_id('logout').onclick = async () => {
  await post('/logout');
  log('signed out');  // the socket learns of it by itself
  await show();
};

await show();
