// A placeholder: joins a room with a short-lived token and shows what the server says.
const log = (text) => { document.getElementById('log').textContent += `${text}\n`; };
const { token } = await (await fetch('/demo/token?kind=short')).json();
const socket = new WebSocket(`ws://${location.host}/chat/lobby`, ['sallyport.v1']);
socket.onopen = () => socket.send(JSON.stringify({ type: 'auth', token }));
socket.onmessage = (event) => {
  log(event.data);
  if (JSON.parse(event.data).type === 'ready') {
    socket.send(JSON.stringify({ type: 'subscribe', channel: 'room/lobby', id: 1 }));
  }
};
socket.onclose = (event) => log(`closed: ${event.code} ${event.reason}`);
