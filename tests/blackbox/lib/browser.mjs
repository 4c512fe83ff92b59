// Chromium, driven by playwright-core: what a page's JavaScript sees of a WebSocket.
import { existsSync } from 'node:fs';
import './binary.mjs';  // says what to do if the packages are missing

const { chromium } = await import('playwright-core');

const EXECUTABLE = process.env.SALLYPORT_CHROMIUM ?? '/usr/bin/chromium';

export const has_browser = existsSync(EXECUTABLE);
export const without_browser = has_browser ? false : `there is no browser at ${EXECUTABLE}`;

export const launch = (args = []) =>
  chromium.launch({ executablePath: EXECUTABLE, args: ['--no-sandbox', '--disable-gpu', ...args] });

/**
 * Opens a WebSocket in the page and plays the steps; answers when it is closed, or when `messages` have
 * come and `keep` is false. The result holds what a script can know: the events, in order.
 */
export const socket_in_page = (page, url, { protocols = [], send = [], messages = 0, ms = 15_000 } = {}) =>
  page.evaluate(({ url, protocols, send, messages, ms }) => new Promise((resolve, reject) => {
    const seen = { opened: false, protocol: null, messages: [], error: false, close: null };
    const socket = new WebSocket(url, protocols);
    setTimeout(() => reject(new Error(`nothing happened: ${JSON.stringify(seen)}`)), ms);
    socket.onopen = () => {
      seen.opened = true;
      seen.protocol = socket.protocol;
      for (const message of send) socket.send(message);
    };
    socket.onmessage = (event) => {
      seen.messages.push(event.data);
      if (messages > 0 && seen.messages.length === messages) socket.close(1000);
    };
    socket.onerror = () => { seen.error = true; };
    socket.onclose = (event) => {
      seen.close = { code: event.code, reason: event.reason, clean: event.wasClean };
      resolve(seen);
    };
  }), { url, protocols, send, messages, ms });
