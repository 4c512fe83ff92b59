// README.md, followed to the letter: its commands, its configuration, and its JavaScript in a browser.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ROOT, run, sallyport, temporary_folder } from './lib/binary.mjs';
import { launch, without_browser } from './lib/browser.mjs';
import { Server } from './lib/server.mjs';
import { jose } from './lib/tokens.mjs';
import { eventually } from './lib/wait.mjs';

const page_text = readFileSync(join(ROOT, 'README.md'), 'utf8');
const BUILT = 'build/server/sallyport';
const commands = [...page_text.matchAll(/^ {4}(\S+\/sallyport) (.+)$/gm)].map(([, program, words]) => ({ program, words: words.split(' ') }));
const blocks = (language) => [...page_text.matchAll(new RegExp('^```' + language + '\\n([\\s\\S]*?)^```$', 'gm'))].map((found) => found[1]);

function words_of(...start) {
  const found = commands.filter(({ words }) => start.every((word, i) => words[i] === word));
  assert.equal(found.length, 1, `one command "${start.join(' ')}"`);
  return found[0].words;
}

describe('README.md', { concurrency: 1 }, () => {
  const folder = temporary_folder();
  const here = (words) => sallyport(words, { cwd: folder });
  let server;
  let token;

  before(async () => {
    const made = await here(words_of('key', 'new'));
    assert.equal(made.code, 0, made.stderr);
    writeFileSync(join(folder, 'chat.toml'), blocks('toml')[0]);
    server = await Server.start(blocks('toml')[0].replace('127.0.0.1:8080', '127.0.0.1:0'), { folder });
    const minted = await here(words_of('token', 'mint'));
    assert.equal(minted.code, 0, minted.stderr);
    token = minted.stdout.trim();
  });
  after(() => server?.stop());

  test('runs what its first step has built', () => {
    assert.ok(commands.length >= 4);
    for (const { program } of commands) assert.equal(program, BUILT);
    assert.match(readFileSync(join(ROOT, 'script/server'), 'utf8'), /-B build\/server\b[\s\S]*exec build\/server\/sallyport demo/);
    assert.match(page_text, /^ {4}cmake --install build\/server --prefix /m);
  });

  test('leaves nothing in the checkout that git would take for a change', async () => {
    const files = words_of('key', 'new').filter((word) => /\.(pem|json)$/.test(word));
    assert.equal(files.length, 2);
    const ignored = await run('git', ['check-ignore', '--no-index', ...files, 'chat.toml'], { cwd: ROOT });
    if (ignored.code === 128) return;  // an unpacked archive, not a checkout
    assert.deepEqual(ignored.stdout.split('\n').filter(Boolean), [...files, 'chat.toml']);
    const other = await run('git', ['check-ignore', '--no-index', 'tests/key.pem', 'src/jwks.json'], { cwd: ROOT });
    assert.equal(other.stdout, '', 'test data of that name stays visible');
  });

  test('has a configuration that check has nothing to say about', async () => {
    const { code, stdout, stderr } = await here(words_of('check'));
    assert.deepEqual([code, stdout, stderr], [0, '', 'chat.toml: ok, 1 route\n']);
    assert.deepEqual(words_of('serve'), ['serve', '--config', 'chat.toml']);
  });

  test('mints a token that its first program takes too', () => {
    const program = blocks('cpp').find((text) => text.includes('int main'));
    const scope = program.match(/has_scope\("(\w+)"\)/)[1];
    assert.ok(jose.decodeJwt(token).scope.split(' ').includes(scope));
    assert.match(program, /on_listening/, 'a program that says nothing looks like one that hangs');
  });

  test('has JavaScript that works where it says', { skip: without_browser }, async () => {
    const browser = await launch();
    try {
      const page = await browser.newPage();
      const heard = [];
      page.on('console', (message) => heard.push(message.text()));
      const where = page_text.match(/^http:\/\/127\.0\.0\.1:8080(\/\S+) and paste/m)[1];
      await page.goto(`${server.origin}${where}`);
      const code = blocks('js')[0].replace('"eyJ..."', JSON.stringify(token)).replace('127.0.0.1:8080', new URL(server.url).host);
      await page.evaluate(`{ ${code} }`);
      await eventually(() => heard.some((text) => text.includes('"type":"subscribed"')), `a subscription, heard: ${heard}`);
      assert.match(heard.find((text) => text.startsWith('{')), /^\{"type":"ready",.*"subject":"ada"/);
    } finally {
      await browser.close();
    }
  });
});
