// The demo's page in Chromium: what a visitor presses, and what the page says about it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch, without_browser } from './lib/browser.mjs';
import { Server } from './lib/server.mjs';
import { eventually, sleep } from './lib/wait.mjs';

const PHONE = { width: 360, height: 740 };

// A short token lives 20 s, is warned about 4 s before that (20 % of its life), and has 2 s of leeway.
const EXPIRY_MS = 35_000;

// Few pages at a time: a page that starves for a processor misses the four seconds between warning and end.
describe('the demo page', { skip: without_browser, concurrency: 2 }, () => {
  let demo;
  let browser;

  before(async () => {
    demo = await Server.start('', { args: ['demo', '--listen', '127.0.0.1:0'] });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await demo?.stop();
  });

  /** Opens the page as a visitor of its own; what the console complains of fails the test, unless `faults` is true. */
  async function visit(t, { server = demo, path = '/', faults = false, ...options } = {}) {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const complaints = [];
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('response', (answer) => {
      if (answer.status() >= 400) complaints.push(`${answer.status()} ${answer.url()}`);
    });
    t.after(async () => {
      await context.close();
      if (!faults) assert.deepEqual(complaints, []);
    });
    await page.goto(`${server.origin}${path}`);
    return page;
  }

  const state = (page, name, timeout = 15_000) => page.waitForSelector(`body[data-state="${name}"]`, { timeout });
  const press = (page, name) => page.getByRole('button', { name, exact: true }).click();
  const text = (page, selector) => page.locator(selector).innerText();
  const steps = (page) => page.locator('.attempt:first-child .events b').allInnerTexts();

  /** Seconds, from "9:59" or "14.2 s". */
  async function time_left(page) {
    const shown = await text(page, '#clock-number');
    assert.match(shown, /^(\d+:\d\d|\d+\.\d s)$/);
    return shown.split(':').reduce((sum, part) => sum * 60 + parseFloat(part), 0);
  }

  async function connect(page, { kind = 'short', transport = 'first_message', name, room } = {}) {
    await page.check(`[name=kind][value=${kind}]`);
    await page.check(`[name=transport][value=${transport}]`);
    if (name) await page.fill('#name', name);
    if (room) await page.fill('#room', room);
    await press(page, 'Connect');
  }

  async function verdict(page, timeout) {
    await state(page, 'closed', timeout);
    return `${await text(page, '#verdict-code')} ${await text(page, '#verdict-reason')}`;
  }

  for (const transport of ['first_message', 'subprotocol']) {
    describe(`over the ${transport}`, { concurrency: 1 }, () => {
      for (const [kind, most] of [['valid', 600], ['short', 20]]) {
        test(`lets a ${kind} token in, counts down, and shows 1000 on leaving`, async (t) => {
          const page = await visit(t);
          await connect(page, { kind, transport, name: 'visitor' });
          await state(page, 'ready');
          const first_look = await time_left(page);
          assert.ok(first_look <= most && first_look > most - 15, `${first_look} s of ${most}`);
          await eventually(async () => await time_left(page) < first_look, 'a clock that runs down');
          assert.equal(await text(page, '#state-title'), 'Inside, as visitor');
          await page.getByText('Joined room/blue').waitFor();
          const proof = transport === 'first_message' ? ['First message'] : [];
          assert.deepEqual(await steps(page), ['Token fetched', 'Handshake', 'Socket open', ...proof, 'Ready', 'Joined room/blue']);
          await press(page, 'Disconnect');
          assert.equal(await verdict(page), '1000 normal');
          assert.equal((await steps(page)).at(-1), 'Closed 1000');
        });
      }

      for (const [kind, ending, what] of [['expired', '3000 token_expired', /^fetch a token/i],
                                          ['forged', '3000 invalid_token', /^ask the user/i],
                                          ['none', '3008 auth_timeout', /^retry with a token/i]]) {
        test(`shows ${ending} for ${kind}, and what to do about it`, async (t) => {
          const page = await visit(t);
          await connect(page, { kind, transport });
          assert.equal(await verdict(page), ending);
          assert.match(await text(page, '#verdict-advice'), what);
          assert.equal(await text(page, '#state-title'), 'Not let in');
          const seen = await steps(page);
          assert.equal(seen.at(-1), `Closed ${ending}`);
          assert.ok(!seen.includes('Ready'), seen.join(', '));
          assert.equal(await page.locator('#clock').isVisible(), false);
        });
      }

      test('says rightly what is proven when the socket opens', async (t) => {
        const page = await visit(t);
        await connect(page, { kind: 'valid', transport });
        await page.getByText('Joined room/blue').waitFor();
        const opened = await page.locator('.attempt:first-child .events li', { hasText: 'Socket open' }).innerText();
        if (transport === 'subprotocol') assert.match(opened, /came along with the handshake/);
        assert.equal(/nothing proven yet/.test(opened), transport === 'first_message', opened);
      });

      test('the code beside the form is JavaScript that does what the page does', async (t) => {
        const page = await visit(t);
        for (const kind of ['valid', 'none']) {
          await page.check(`[name=kind][value=${kind}]`);
          await page.check(`[name=transport][value=${transport}]`);
          const made = [];
          class WebSocket {
            constructor(url, protocols) { made.push([url, protocols]); this.sent = made; }
            send(text) { this.sent.push(JSON.parse(text)); }
          }
          const socket = new Function('WebSocket', 'url', 'token', `${await text(page, '#snippet')}; return socket`)(WebSocket, 'ws://x', 'TOKEN');
          socket.onopen?.();
          const with_it = transport === 'subprotocol' && kind === 'valid';
          assert.deepEqual(made[0], ['ws://x', with_it ? ['sallyport.v1', 'bearer.TOKEN'] : ['sallyport.v1']]);
          assert.deepEqual(made.slice(1), kind === 'valid' && !with_it ? [{ type: 'auth', token: 'TOKEN' }] : []);
        }
      });

      test('never shows a whole token', async (t) => {
        const tokens = [];
        const page = await visit(t);
        page.on('response', async (answer) => {
          if (answer.url().includes('/demo/token')) tokens.push((await answer.json()).token);
        });
        await connect(page, { kind: 'valid', transport });
        await page.getByText('Joined room/blue').waitFor();
        const shown = await page.content();
        assert.equal(tokens.length, 1);
        for (const part of tokens[0].split('.')) assert.ok(!shown.includes(part), part);
        assert.ok(shown.includes(`${tokens[0].slice(0, 6)}…`));
      });
    });
  }

  describe('as a token runs out', { concurrency: 3 }, () => {
    test('warns, then shows 3000 token_expired, and the way on works', async (t) => {
      const page = await visit(t);
      await connect(page);
      await state(page, 'expiring', EXPIRY_MS);
      assert.match(await text(page, '#state-text'), /refresh/);
      assert.equal(await verdict(page, EXPIRY_MS), '3000 token_expired');
      assert.deepEqual((await steps(page)).slice(-2), ['Expiring in 4 s', 'Closed 3000 token_expired']);
      await press(page, 'Fetch a token and reconnect');
      await state(page, 'ready');
      assert.equal(await page.locator('.attempt').count(), 2);
    });

    test('a press of Refresh keeps the same socket open beyond the first token', async (t) => {
      const page = await visit(t);
      await connect(page);
      await state(page, 'ready');
      await state(page, 'expiring', EXPIRY_MS);
      await press(page, 'Refresh');
      await state(page, 'ready');
      assert.deepEqual((await steps(page)).slice(-2), ['Refresh', 'Refreshed']);
      assert.ok(await time_left(page) > 6, 'the clock is wound up again');
      await sleep(8000);  // the first token and its leeway have ended in here
      assert.equal(await page.getAttribute('body', 'data-state'), 'ready');
      assert.equal(await page.locator('[data-close]').count(), 0);
    });

    test('the page refreshes by itself when asked to', async (t) => {
      const page = await visit(t);
      await page.check('#auto');
      await connect(page);
      await page.getByText('Refreshed', { exact: true }).waitFor({ timeout: EXPIRY_MS });
      assert.deepEqual((await steps(page)).slice(-3), ['Expiring in 4 s', 'Refresh', 'Refreshed']);
      await state(page, 'ready');
    });
  });

  test('a refresh as someone else ends the socket with subject_changed', async (t) => {
    const page = await visit(t);
    await connect(page, { kind: 'valid' });
    await state(page, 'ready');
    await press(page, 'Refresh as someone else');
    assert.equal(await verdict(page), '3000 subject_changed');
  });

  test('connecting anew leaves the old socket and forgets it', async (t) => {
    const page = await visit(t);
    await connect(page, { kind: 'valid' });
    await state(page, 'ready');
    await page.check('[name=kind][value=forged]');
    await press(page, 'Reconnect');
    assert.equal(await verdict(page), '3000 invalid_token');
    await page.locator('.attempt:nth-child(2) [data-close="1000"]').waitFor();
    assert.equal(await text(page, '#verdict-code'), '3000');
  });

  test('a server that stops says 1012 restart; one that is gone is told from a refusal', async (t) => {
    const own = await Server.start('', { args: ['demo', '--listen', '127.0.0.1:0'] });
    t.after(() => own.end());
    const page = await visit(t, { server: own, faults: true });
    await connect(page, { kind: 'valid' });
    await state(page, 'ready');
    await own.stop();
    assert.equal(await verdict(page), '1012 restart');
    assert.match(await text(page, '#verdict-advice'), /random delay/);
    await press(page, 'Reconnect');
    await page.getByText('No token to be had').waitFor();
    assert.equal((await verdict(page)).trim(), 'No socket');
    assert.equal(await page.locator('#again').isVisible(), true);
  });

  test('two pages talk in a room, and markup stays text', async (t) => {
    const one = await visit(t);
    await connect(one, { kind: 'valid', name: 'first', room: 'attic' });
    await one.getByText('You are in, as first.').waitFor();
    const href = await one.getAttribute('#second', 'href');
    const two = await visit(t, { path: href });  // joins by itself
    await two.getByText(/^You are in, as /).waitFor();
    assert.equal(await two.inputValue('#room'), 'attic');
    const outsider = await visit(t);
    await connect(outsider, { kind: 'valid', room: 'cellar' });
    await outsider.getByText(/^You are in, as /).waitFor();

    const words = '<img src=x onerror="document.title=1"> hello';
    await one.fill('#text', words);
    await one.press('#text', 'Enter');
    await two.locator('.messages li:not(.system)').waitFor();
    assert.equal(await text(two, '.messages li:not(.system) b'), 'first');
    assert.equal(await text(two, '.messages li:not(.system) p'), words);
    assert.equal(await two.locator('.messages img').count(), 0);

    await two.fill('#text', 'hello back');
    await press(two, 'Send');
    await one.getByText('hello back').waitFor();
    assert.equal(await one.inputValue('#text'), '');
    assert.equal(await outsider.locator('.messages li:not(.system)').count(), 0);

    // Another room starts empty.
    await one.fill('#room', 'cellar');
    assert.equal(await text(one, '#chat-room'), 'attic', 'the room that it is in, not the one that is typed');
    await press(one, 'Reconnect');
    await one.locator('#messages[data-room="cellar"]').waitFor();
    assert.equal(await text(one, '#chat-room'), 'cellar');
    assert.equal(await one.locator('.messages li:not(.system)').count(), 0);
  });

  test('fits a phone, in every state', async (t) => {
    const page = await visit(t, { viewport: PHONE, colorScheme: 'dark' });
    const fits = async (when) => {
      const wide = await page.evaluate(() => [...document.querySelectorAll('body *')]
        .filter((element) => !element.closest('svg, .unseen, .skip'))
        .filter((element) => {
          const { left, right } = element.getBoundingClientRect();
          return left < 0 || right > innerWidth;
        }).map((element) => element.outerHTML.slice(0, 80)));
      assert.deepEqual(wide, [], when);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), PHONE.width, when);
    };
    await fits('idle');
    await connect(page, { kind: 'valid', transport: 'subprotocol', name: 'n'.repeat(32), room: 'r'.repeat(32) });
    await page.getByText(/^You are in, as /).waitFor();
    await page.fill('#text', 'w'.repeat(300));
    await press(page, 'Send');
    await page.locator('.messages .mine').waitFor();
    await fits('ready');
    await press(page, 'Refresh as someone else');
    await state(page, 'closed');
    await fits('closed');
  });

  test('breaks no word of a message at the width of a phone', async (t) => {
    const page = await visit(t, { viewport: PHONE });
    await connect(page, { kind: 'valid', name: 'visitor', room: 'blue' });
    await page.getByText('Joined room/blue').waitFor();
    const { whole, broken, lines } = await page.evaluate(() => {
      const seen = { whole: 0, broken: [], lines: 0 };
      for (const code of document.querySelectorAll('.events code')) {
        if (!code.textContent.includes('{"type"')) continue;
        seen.lines += code.getBoundingClientRect().height / parseFloat(getComputedStyle(code).lineHeight);
        for (const node of code.childNodes) {
          if (node.nodeType !== Node.TEXT_NODE) continue;
          const range = document.createRange();
          range.selectNodeContents(node);
          const rows = new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size;
          if (rows > 1) seen.broken.push(node.textContent);
          else seen.whole += 1;
        }
      }
      return seen;
    });
    assert.deepEqual(broken, []);
    assert.ok(whole > 8 && lines > 5, `${whole} parts on ${lines} lines: something was broken at all`);
  });

  test('works from the keyboard, and says what happens in a live region', async (t) => {
    const page = await visit(t);
    await page.focus('[name=kind][value=short]');
    await page.keyboard.press('ArrowDown');
    assert.equal(await page.isChecked('[name=kind][value=valid]'), true);
    await page.keyboard.press('Enter');  // in a form, that is its button
    await state(page, 'ready');
    await page.focus('#leave');
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.equal(outline, 'solid');
    await page.keyboard.press('Enter');
    assert.equal(await verdict(page), '1000 normal');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'leave', 'the focus stays where it was');
    const log = page.getByRole('log', { name: 'Timeline' });
    assert.equal(await log.getAttribute('aria-live'), 'polite');
    assert.match(await log.innerText(), /Closed 1000/);
  });

  test('asks nothing of any other host, and has nothing inline', async (t) => {
    const context = await browser.newContext();
    t.after(() => context.close());
    const page = await context.newPage();
    const asked = [];
    page.on('request', (request) => asked.push(new URL(request.url()).origin));
    const answer = await page.goto(`${demo.origin}/`);
    await page.waitForLoadState('networkidle');
    assert.deepEqual(new Set(asked), new Set([demo.origin]));
    assert.equal(answer.headers()['content-security-policy'], "default-src 'self'; connect-src 'self' ws: wss:");
    assert.equal(await page.locator('style, script:not([src]), [onclick]').count(), 0);
    for (const file of ['app.js', 'style.css', 'favicon.svg']) {
      assert.equal((await fetch(`${demo.origin}/${file}`)).status, 200, file);
    }
  });
});
