// The console in Chromium, in front of the built binary: what an administrator presses, and what happens to sockets.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Admin } from './lib/admin.mjs';
import { launch, without_browser } from './lib/browser.mjs';
import { Client } from './lib/client.mjs';
import { Server, echo, hub } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';
import { eventually } from './lib/wait.mjs';

const PHONE = { width: 360, height: 740 };

describe('the console', { skip: without_browser, concurrency: 1 }, () => {
  let issuer;
  let server;
  let browser;
  const admin = new Admin();

  before(async () => {
    issuer = await Issuer.make();
    server = await Server.start({
      issuer, admin: admin.section,
      routes: [echo('/echo'), hub('/chat/:room', [{ do: ['subscribe', 'publish'], channel: 'room/*' }])],
    });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  const open = async (sub, path = '/echo', claims = {}) =>
    Client.open(server, path, { token: await issuer.sign({ sub, ...claims }) });

  /** Opens the page; what the browser complains of fails the test, but for answers with one of the statuses `expected`. */
  async function visit(t, { expected = [], ...options } = {}) {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const complaints = [];
    page.on('console', (message) => {
      const status = /status of (\d+)/.exec(message.text())?.[1];
      if (['error', 'warning'].includes(message.type()) && !expected.includes(Number(status))) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== server.admin_url) complaints.push(`asks ${request.url()}`);
    });
    t.after(async () => {
      await context.close();
      assert.deepEqual(complaints, []);
    });
    await page.goto(server.admin_url);
    return page;
  }
  const press = (where, name) => where.getByRole('button', { name, exact: true }).click();
  async function sign_in(page, token = admin.token) {
    await page.getByLabel('Admin token').fill(token);
    await press(page, 'Sign in');
  }
  async function enter(t, options) {
    const page = await visit(t, options);
    await sign_in(page);
    await page.waitForSelector('body[data-state="inside"]');
    return page;
  }
  const row = (page, subject) => page.locator('#rows tr').filter({ has: page.locator('b', { hasText: new RegExp(`^${subject}$`) }) });

  test('lets nobody in without the token, and keeps it nowhere', async (t) => {
    const page = await visit(t, { expected: [401] });
    assert.equal(await page.locator('#inside').isVisible(), false);
    await sign_in(page, 'this-is-not-the-admin-token');
    await page.getByText('That is not the admin token.').waitFor();
    assert.equal(await page.locator('#inside').isVisible(), false);
    await sign_in(page);
    await page.waitForSelector('body[data-state="inside"]');
    const kept = await page.evaluate(() => JSON.stringify([document.documentElement.outerHTML, document.cookie, { ...localStorage },
                                                          { ...sessionStorage }, location.href, history.state,
                                                          [...document.querySelectorAll('input')].map((input) => input.value)]));
    assert.ok(!kept.includes(admin.token));
    await press(page, 'Sign out');
    assert.equal(await page.locator('#inside').isVisible(), false);
    assert.equal(await page.locator('#rows tr').count(), 0);
    await sign_in(page);
    await page.waitForSelector('body[data-state="inside"]');
    await page.reload();
    assert.equal(await page.locator('#inside').isVisible(), false);
  });

  test('shows who is connected as they come and go, and text as text', async (t) => {
    const page = await enter(t);
    await page.getByText('Nobody is connected.').waitFor();
    const markup = '<img src=x onerror="document.title=1">';
    const clients = [await open('ada'), await open(markup, '/chat/blue')];
    await row(page, 'ada').waitFor();
    assert.deepEqual((await row(page, 'ada').locator('td').allInnerTexts()).slice(1, 3), ['/echo', '127.0.0.1']);
    assert.match(await row(page, 'ada').locator('td').nth(4).innerText(), /^in \d+:\d\d$/);
    await page.locator('#rows').getByText(markup, { exact: true }).waitFor();
    assert.equal(await page.locator('#rows img').count(), 0);
    assert.equal(await page.title(), 'Sallyport console');
    await eventually(async () => await page.locator('#figures > div').first().innerText().then((text) => /\b2\b/.test(text)), 'the figure of connections');

    clients[1].send({ type: 'subscribe', channel: 'room/blue', id: 1 });
    await page.locator('#channels').getByText('room/blue').waitFor();
    await page.getByLabel('Subject').first().fill('ada');
    await press(page, 'Filter');
    await eventually(async () => await page.locator('#rows tr').count() === 1, 'the filter');
    await press(page, 'Clear');
    await page.getByLabel('Route').selectOption('/chat/:room');
    await eventually(async () => await page.locator('#rows tr').count() === 1 && await row(page, 'ada').count() === 0, 'the route');
    await press(page, 'Clear');
    for (const client of clients) client.terminate();
    await page.getByText('Nobody is connected.').waitFor();
  });

  test('turns pages', async (t) => {
    const clients = await Promise.all(Array.from({ length: 60 }, (_, i) => open(`u${i}`)));
    const page = await enter(t);
    const subjects = async () => page.locator('#rows b').allInnerTexts();
    await eventually(async () => (await subjects()).length === 50, 'the first page');
    const first = await subjects();
    await press(page, 'Next');
    await page.getByText('Page 2, 10 connections').waitFor();
    const second = await subjects();
    assert.equal(new Set([...first, ...second]).size, 60);
    await press(page, 'Previous');
    await page.getByText('Page 1, 50 connections').waitFor();
    for (const client of clients) client.terminate();
  });

  test('closes one connection', async (t) => {
    const [ada, bob] = [await open('ada'), await open('bob')];
    const page = await enter(t);
    await row(page, 'ada').getByRole('button', { name: /^Close/ }).click();
    assert.deepEqual(await ada.ending(), { code: 3003, reason: 'evicted' });
    await eventually(async () => await row(page, 'ada').count() === 0, 'the row that goes');
    await bob.echo('still here');
    bob.terminate();
  });

  test('revokes a subject from its row, tells how many, and lifts it', async (t) => {
    const clients = [await open('eve'), await open('eve'), await open('bob')];
    const page = await enter(t);
    await row(page, 'eve').first().getByRole('button', { name: /^Revoke/ }).click();
    const panel = page.locator('#revoke-panel');
    assert.equal(await panel.getByLabel('Subject').inputValue(), 'eve');
    assert.equal(await panel.getByLabel('Issuer').inputValue(), issuer.iss);
    assert.match(await page.locator('#revoke-means').innerText(), /^Ends every login of eve by .*, and keeps it out until it is lifted\.$/);
    await panel.getByLabel('They are told').selectOption('logged_out');
    await press(panel, 'Revoke');
    await page.getByText(/holds\. It closed 2 connections, within \d+ ms\./).waitFor();
    for (const client of clients.slice(0, 2)) assert.deepEqual(await client.ending(), { code: 3000, reason: 'logged_out' });
    await clients[2].echo('not me');
    await assert.rejects(open('eve'), { status: 401 });
    const entry = page.locator('#revocations li').filter({ hasText: 'Every login of eve' });
    await entry.waitFor();
    await entry.getByRole('button', { name: /^Lift/ }).click();
    await page.getByText('Nobody is shut out.').waitFor();
    (await open('eve')).terminate();
    clients[2].terminate();
  });

  test('asks again before it ends everybody', async (t) => {
    const client = await open('ada', '/echo', { iat: Math.floor(Date.now() / 1000) - 60 });
    const page = await enter(t);
    const panel = page.locator('#revoke-panel');
    await press(panel, 'Revoke');
    assert.equal(await page.locator('#revoke-result').innerText(), 'Say whose logins are to end.');
    await press(panel, 'Now');
    await press(panel, 'Revoke');
    await press(page.getByRole('dialog'), 'Keep');
    await client.echo('kept');
    assert.equal((await admin.revocations(server)).revocations.length, 0);
    await press(panel, 'Revoke');
    await press(page.getByRole('dialog'), 'End them');
    await page.getByText(/It closed 1 connection,/).waitFor();
    assert.equal((await client.end()).code, 3000);
    await page.locator('#revocations').getByRole('button', { name: /^Lift/ }).click();
    await page.getByText('Nobody is shut out.').waitFor();
  });

  test('says what the server refuses', async (t) => {
    const page = await enter(t, { expected: [400] });
    const panel = page.locator('#revoke-panel');
    await panel.getByLabel('Subject').fill('ada');
    await panel.getByLabel('Kept for').fill('99999999d');
    await press(panel, 'Revoke');
    await page.getByText(/^Keep must be/).waitFor();
    assert.equal((await admin.revocations(server)).revocations.length, 0);
  });

  test('signs out when the token has changed', async (t) => {
    const old = admin.token;
    const page = await enter(t, { expected: [401] });
    t.after(() => writeFileSync(admin.file, `${old}\n`));
    writeFileSync(admin.file, 'another-token-of-good-length\n');
    await page.getByText('The admin token has changed, so you were signed out.').waitFor();
    assert.equal(await page.locator('#inside').isVisible(), false);
  });

  for (const colorScheme of ['light', 'dark']) {
    test(`fits a phone in ${colorScheme} colours`, async (t) => {
      const client = await open('a-subject-with-a-name-that-is-longer-than-a-phone-is-wide@department.example.com');
      const page = await enter(t, { viewport: PHONE, colorScheme });
      await page.locator('#rows tr').waitFor();
      const { wide, outside, ground, ink } = await page.evaluate(() => ({
        wide: document.documentElement.scrollWidth,
        outside: [...document.querySelectorAll('button, input, td, li')].filter((element) => {
          const box = element.getBoundingClientRect();
          return box.width > 1 && (box.left < -1 || box.right > innerWidth + 1);
        }).map((element) => element.outerHTML.slice(0, 80)),
        ground: getComputedStyle(document.body).backgroundColor,
        ink: getComputedStyle(document.body).color,
      }));
      assert.ok(wide <= PHONE.width, `${wide} pixels`);
      assert.deepEqual(outside, []);
      const light = (colour) => colour.match(/\d+/g).slice(0, 3).map(Number).reduce((a, b) => a + b) / 3;
      assert.equal(light(ground) > light(ink), colorScheme === 'light', `${ink} on ${ground}`);
      client.terminate();
    });
  }
});
