// The command: what it prints, where, and with which status it ends.
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { sallyport, temporary_folder } from './lib/binary.mjs';
import { Client, outcome } from './lib/client.mjs';
import { Server, configuration, echo } from './lib/server.mjs';
import { toml } from './lib/toml.mjs';
import { Issuer, broken_signature, jose, now } from './lib/tokens.mjs';

const { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } = jose;

let issuer;
before(async () => { issuer = await Issuer.make(); });

/** Ended with that status, and what it says stands on the stream where it belongs. */
async function ends(code, args, options) {
  const ended = await sallyport(args, options);
  assert.equal(ended.code, code, `${args.join(' ')}\n${ended.stdout}\n${ended.stderr}`);
  return ended;
}

function config_file(config) {
  const file = join(temporary_folder(), 'sallyport.toml');
  writeFileSync(file, typeof config === 'string' ? config : toml(configuration({ issuer, routes: [echo('/echo')], ...config })));
  return file;
}

describe('usage', { concurrency: 4 }, () => {
  test('help and version go to stdout with status 0', async () => {
    assert.match((await ends(0, ['--help'])).stdout, /serve[\s\S]*check[\s\S]*key[\s\S]*token/);
    assert.match((await ends(0, ['--version'])).stdout, /\b\d+\.\d+\.\d+\b/);
  });

  test('bad usage is status 2 and a line on stderr', async () => {
    for (const args of [[], ['nonsense'], ['serve'], ['serve', '--config'], ['serve', '--nonsense'], ['check'], ['key'], ['key', 'new'],
                        ['key', 'new', '--alg', 'ES999', '--private', '/tmp/x', '--jwks', '/tmp/y'], ['token'], ['token', 'mint'],
                        ['token', 'mint', '--alg', 'ES256', '--iss', 'i', '--aud', 'a', '--sub', 's'],
                        ['token', 'mint', '--key', issuer.private_file, '--alg', 'ES256', '--iss', 'i', '--aud', 'a', '--sub', 's', '--ttl', 'soon'],
                        ['token', 'mint', '--key', issuer.private_file, '--alg', 'ES256', '--iss', 'i', '--aud', 'a', '--sub', 's', '--claim', 'x={'],
                        ['demo', '--listen', '0.0.0.0:0']]) {
      const { stdout, stderr } = await ends(2, args);
      assert.equal(stdout, '', args.join(' '));
      assert.notEqual(stderr.trim(), '', args.join(' '));
    }
  });

  test('a configuration that is not there is status 2', async () => {
    for (const command of ['serve', 'check']) {
      const { stderr, stdout } = await ends(2, [command, '--config', '/nonexistent/sallyport.toml']);
      assert.match(stderr + stdout, /\/nonexistent\/sallyport\.toml/);
    }
  });

  test('a port that is taken is status 1 and is named', async () => {
    const holder = net.createServer();
    await new Promise((resolve) => holder.unref().listen(0, '127.0.0.1', resolve));
    const { port } = holder.address();
    const file = config_file({ server: { listen: [`127.0.0.1:${port}`] } });
    const { stdout, stderr } = await ends(1, ['serve', '--config', file]);
    assert.equal(stdout, '');
    assert.equal(stderr.trimEnd().split('\n').at(-1),
                 `sallyport: 127.0.0.1:${port}: cannot listen there: Address already in use; to listen elsewhere, write another address under [server] listen in ${file}`);
    const demo = await ends(1, ['demo', '--listen', `127.0.0.1:${port}`]);
    assert.equal(demo.stdout, '');
    assert.equal(demo.stderr, `sallyport: 127.0.0.1:${port}: cannot listen there: Address already in use; to listen elsewhere, add for example --listen 127.0.0.1:8081\n`);
    holder.close();
  });

  test('a port that another server of ours holds is taken too', async () => {
    const server = await Server.start({ issuer, routes: [echo('/echo')] });
    await ends(1, ['serve', '--config', config_file({ server: { listen: [`127.0.0.1:${server.port}`] } })]);
    await server.stop();
  });

  test('stdout of a server is its listeners, one a line, and nothing else', async () => {
    const server = await Server.start({ issuer, server: { listen: ['127.0.0.1:0', '127.0.0.1:0'] }, routes: [echo('/echo')] });
    const token = await issuer.sign();
    for (const url of server.urls) {
      const client = await Client.open({ url }, '/echo', { token });
      await client.echo('hello');
      await client.leave();
    }
    await server.stop();
    assert.match(server.stdout, /^(listening on ws:\/\/127\.0\.0\.1:\d+\n){2}$/);
  });
});

describe('check', { concurrency: 4 }, () => {
  const finding = (ended) => (ended.stdout + ended.stderr).split('\n').filter((line) => / (error|warning): /.test(line));

  test('says nothing bad of a good configuration', async () => {
    const file = config_file({});
    const checked = await ends(0, ['check', '--strict', '-c', file]);
    assert.deepEqual(finding(checked), []);
    assert.equal(checked.stdout, '', 'stdout is for findings');
    assert.equal(checked.stderr, `${file}: ok, 1 route\n`);
  });

  test('says of a folder that it is one', async () => {
    const folder = temporary_folder();
    assert.equal((await ends(2, ['check', '--config', folder])).stdout, `${folder}:1: error: is a folder, not a file\n`);
  });

  test('names file and line of every error', async () => {
    const file = config_file(['[server]', 'listen = "127.0.0.1:0"', 'worker = 1', '', '[log]', 'level = "loud"', '', '[[route]]',
                              'path = "/x"', 'handler = "echo"', 'verifiers = ["nobody"]', ''].join('\n'));
    const lines = finding(await ends(2, ['check', '--config', file]));
    for (const [line, word] of [[2, /listen/], [3, /worker/], [6, /loud|level/], [11, /nobody/]]) {
      const found = lines.find((text) => text.startsWith(`${file}:${line}: error: `));
      assert.ok(found, `an error in line ${line} among\n${lines.join('\n')}`);
      assert.match(found, word);
    }
    assert.match(lines.join('\n'), /workers/, 'and says what was probably meant');
  });

  test('a configuration that check refuses does not serve, with the same words', async () => {
    const file = config_file({ routes: [{ path: '/x', handler: 'echo', credentials: ['header'] }] });
    const checked = finding(await ends(2, ['check', '--config', file]));
    const served = await ends(2, ['serve', '--config', file]);
    assert.equal(served.stdout, '');
    for (const line of checked) assert.ok(served.stderr.includes(line), line);
    assert.match(checked.join('\n'), /\/x.*insecure_anonymous/s, 'a route without a verifier is named');
  });

  const refuses = (name, config, word) => test(`refuses ${name}`, async () => {
    const file = config_file(config);
    const lines = finding(await ends(2, ['check', '--config', file]));
    assert.ok(lines.some((line) => line.startsWith(`${file}:`) && / error: /.test(line) && word.test(line)), lines.join('\n'));
    await ends(2, ['serve', '--config', file]);
  });
  const route = (more) => ({ routes: [echo('/x', more)] });
  refuses('plain text off loopback', { server: { listen: ['0.0.0.0:0'] } }, /insecure_plaintext|TLS/);
  refuses('origins that are a misspelt word', route({ origins: 'some' }), /origins/);
  refuses('origins that are one address instead of a list', route({ origins: 'https://app.example.com' }), /origins/);
  refuses('an origin with a path', route({ origins: ['https://app.example.com/x'] }), /origin/i);
  refuses('an origin with an asterisk inside a label', route({ origins: ['https://app*.example.com'] }), /origin/i);
  refuses('a size without a unit', route({ message_bytes: 65536 }), /message_bytes/);
  refuses('a duration that is none', route({ auth_timeout: '5 parsecs' }), /auth_timeout/);
  refuses('an unknown handler', { routes: [{ ...echo('/x'), handler: 'ecko' }] }, /ecko|handler/);
  refuses('an unknown credential', route({ credentials: ['head'] }), /head|credential/);
  refuses('an address that is none', route({ allow_addresses: ['10.0.0.0/33'] }), /allow_addresses|10\.0\.0\.0/);
  refuses('permits on an echo', { routes: [{ ...echo('/x'), permit: [{ do: ['publish'], channel: 'a' }] }] }, /permit/);
  refuses('two routes of the same path', { routes: [echo('/x'), echo('/x')] }, /\/x/);
  refuses('a path that does not begin with a slash', { routes: [echo('x')] }, /path/);
  refuses('an administration without its token', '[admin]\nlisten = "127.0.0.1:0"\ntoken_file = "x"\n', /cannot be opened/);
  refuses('a proxy that this version does not have', { routes: [{ ...echo('/x'), handler: 'proxy', upstream: 'ws://127.0.0.1:1' }] }, /not available/);
  refuses('text that is no TOML', '[server\n', /./);

  test('warns of what lowers security, and strict makes that a failure', async () => {
    for (const [more, word] of [[{ credentials: ['insecure_query:t'] }, /insecure_query/], [{ origins: 'insecure_any' }, /insecure_any/],
                                [{ verifiers: [], insecure_anonymous: true, credentials: undefined }, /insecure_anonymous/]]) {
      const file = config_file(route(more));
      const lines = finding(await ends(0, ['check', '--config', file]));
      assert.ok(lines.some((line) => line.startsWith(`${file}:`) && / warning: /.test(line) && word.test(line)), lines.join('\n'));
      await ends(1, ['check', '--strict', '--config', file]);
    }
  });
});

describe('key new', { concurrency: 4 }, () => {
  for (const [alg, kty] of [['ES256', 'EC'], ['ES384', 'EC'], ['ES512', 'EC'], ['RS256', 'RSA'], ['PS256', 'RSA'], ['EdDSA', 'OKP']]) {
    test(`makes a key for ${alg} whose public half others can use`, async () => {
      const made = await Issuer.make({ alg, kid: 'a key' });
      const jwks = JSON.parse(readFileSync(made.jwks_file, 'utf8'));
      assert.equal(jwks.keys.length, 1);
      const [jwk] = jwks.keys;
      assert.deepEqual([jwk.kty, jwk.kid, jwk.alg], [kty, 'a key', alg]);
      for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) assert.equal(jwk[secret], undefined);
      createPublicKey({ key: jwk, format: 'jwk' });
      assert.equal(statSync(made.private_file).mode & 0o777, 0o600);
      const { payload } = await jwtVerify(await made.mint({ sub: 'x' }), createLocalJWKSet(jwks), { issuer: made.iss, audience: made.aud });
      assert.equal(payload.sub, 'x');
    });
  }

  test('does not overwrite a key', async () => {
    const made = await Issuer.make();
    const key = readFileSync(made.private_file, 'utf8');
    const again = await sallyport(['key', 'new', '--alg', 'ES256', '--private', made.private_file, '--jwks', made.jwks_file]);
    assert.notEqual(again.code, 0);
    assert.notEqual(again.stderr, '');
    assert.equal(readFileSync(made.private_file, 'utf8'), key);
    const half = join(made.folder, 'other.pem');
    assert.notEqual((await sallyport(['key', 'new', '--alg', 'ES256', '--private', half, '--jwks', made.jwks_file])).code, 0);
    assert.equal(existsSync(half), false, 'no half of a pair is left behind');
  });

  test('prints no private key', async () => {
    const folder = temporary_folder();
    const { stdout, stderr } = await ends(0, ['key', 'new', '--alg', 'ES256', '--private', join(folder, 'k'), '--jwks', join(folder, 'j')]);
    const body = readFileSync(join(folder, 'k'), 'utf8').split('\n')[1];
    assert.ok(body.length > 20 && !(stdout + stderr).includes(body));
  });
});

describe('token mint', { concurrency: 4 }, () => {
  test('prints the token alone, with the claims asked for', async () => {
    const token = await issuer.mint({ sub: 'grace', scope: 'a b', ttl: '90s' }, ['--claim', 'tenant="acme"', '--claim', 'roles=["x"]', '--claim', 'n=5']);
    assert.match(token, /^[\w-]+\.[\w-]+\.[\w-]+$/);
    const claims = decodeJwt(token);
    const { alg, kid } = decodeProtectedHeader(token);
    assert.deepEqual([alg, kid], ['ES256', 'k1']);
    assert.equal(claims.iss, issuer.iss);
    assert.deepEqual([claims.aud].flat(), ['chat']);
    assert.deepEqual([claims.sub, claims.scope, claims.tenant, claims.roles, claims.n], ['grace', 'a b', 'acme', ['x'], 5]);
    assert.equal(claims.exp - claims.iat, 90);
    assert.ok(Math.abs(claims.iat - now()) <= 5);
  });

  test('lives for a minute by default and may have expired for a test', async () => {
    const plain = decodeJwt(await issuer.mint());
    assert.equal(plain.exp - plain.iat, 60);
    assert.ok(decodeJwt(await issuer.mint({ ttl: '-60s' })).exp < now());
  });

  test('signs with a secret too, and every alg fits its key', async () => {
    const secret = await Issuer.make({ alg: 'HS256' });
    await jwtVerify(await secret.mint(), secret.key, { algorithms: ['HS256'] });
    const wrong = await ends(2, ['token', 'mint', '--key', issuer.private_file, '--alg', 'RS256', '--iss', 'i', '--aud', 'a', '--sub', 's']);
    assert.equal(wrong.stdout, '');
    assert.equal(wrong.stderr, `sallyport: ${issuer.private_file}: this key cannot sign with RS256; it is for ES256\n`);
  });

  test('says all that is missing at once, and what an unknown algorithm may have meant', async () => {
    assert.equal((await ends(2, ['token', 'mint', '--iss', 'i'])).stderr,
                 'sallyport: --key (or, for HS*, --secret-file), --alg, --aud and --sub are required; for help: sallyport token mint --help\n');
    for (const args of [['token', 'mint', '--key', issuer.private_file, '--iss', 'i', '--aud', 'a', '--sub', 's', '--alg', 'es256'],
                        ['key', 'new', '--private', '/tmp/x', '--jwks', '/tmp/y', '--alg', 'es256']]) {
      assert.match((await ends(2, args)).stderr, /^sallyport: --alg es256 is not one of .*ES384.*; did you mean "ES256"\?\n$/);
    }
  });
});

describe('token inspect', { concurrency: 4 }, () => {
  const inspect = (code, token, more = []) => ends(code, ['token', 'inspect', '--config', config_file({}), ...more], { input: `${token}\n` });

  test('says that a good token is good, and never quotes it', async () => {
    const token = await issuer.sign();
    const { stdout, stderr } = await inspect(0, token);
    for (const part of token.split('.')) assert.ok(!(stdout + stderr).includes(part));
    await inspect(0, token, ['--verifier', 'main']);
  });

  test('says which check fails', async () => {
    const said = async (token) => {
      const { stdout, stderr } = await inspect(1, token);
      return stdout + stderr;
    };
    assert.match(await said(await issuer.sign({ ttl: -3600 })), /exp/i);
    assert.match(await said(await issuer.sign({ aud: 'mail' })), /aud/i);
    assert.match(await said(await issuer.sign({ iss: 'x' })), /iss/i);
    assert.match(await said(broken_signature(await issuer.sign())), /signature/i);
    await said('nonsense');
  });

  test('says that of two verifiers of one issuer only the first is asked', async () => {
    const shared = config_file({ verifiers: { other: issuer.verifier({ audience: ['mail'] }) } });
    const { stdout } = await ends(0, ['token', 'inspect', '--config', shared], { input: await issuer.sign({ aud: 'mail' }) });
    assert.match(stdout, /^note: the verifiers (main and other|other and main) have the same issuer; of those that a route names, only the first is asked$/m);
    assert.doesNotMatch((await inspect(0, await issuer.sign())).stdout, /note:/);
  });

  test('no token at all is bad usage', async () => {
    await inspect(2, '');
  });

  test('an unknown verifier is bad usage', async () => {
    await inspect(2, await issuer.sign(), ['--verifier', 'nobody']);
  });
});

describe('demo', { concurrency: 1 }, () => {
  test('serves a page whose tokens open its own sockets', async () => {
    const demo = await Server.start('', { args: ['demo', '--listen', '127.0.0.1:0'] });
    const page = await fetch(`${demo.origin}/`);
    assert.equal(page.status, 200);
    assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'self'/);
    const token = async (kind) => (await (await fetch(`${demo.origin}/demo/token?kind=${kind}`)).json()).token;
    assert.equal(await outcome(demo, '/chat/blue', { token: await token('valid') }), 101);
    assert.equal(await outcome(demo, '/chat/blue', { token: await token('expired') }), 401);
    assert.equal(await outcome(demo, '/chat/blue', { token: await token('forged') }), 401);
    const foreign = await fetch(`${demo.origin}/demo/token?kind=valid`, { headers: { 'Sec-Fetch-Site': 'cross-site' } });
    assert.equal(foreign.status, 403);
    await demo.stop();
  });
});
