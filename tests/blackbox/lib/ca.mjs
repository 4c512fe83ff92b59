// A certificate authority for one test run, made by openssl.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, temporary_folder } from './binary.mjs';

async function openssl(...args) {
  const ended = await run('openssl', args);
  assert.equal(ended.code, 0, ended.stderr);
}

/** The files of a CA and of a server certificate for 127.0.0.1, ::1 and localhost. */
export async function make_ca() {
  const folder = temporary_folder();
  const file = (name) => join(folder, name);
  writeFileSync(file('server.ext'),
                'subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost\nextendedKeyUsage=serverAuth\n');
  await openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
                '-subj', '/CN=Sallyport test CA', '-keyout', file('ca.key'), '-out', file('ca.crt'));
  await openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                '-subj', '/CN=localhost', '-keyout', file('server.key'), '-out', file('server.csr'));
  await openssl('x509', '-req', '-in', file('server.csr'), '-CA', file('ca.crt'), '-CAkey', file('ca.key'),
                '-CAcreateserial', '-days', '2', '-extfile', file('server.ext'), '-out', file('server.crt'));
  return { ca: file('ca.crt'), ca_key: file('ca.key'), certificate: file('server.crt'), key: file('server.key') };
}

const asn1_time = (date) => `${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;

/**
 * A client's certificate of that CA, as ws and node:tls take it: `{ cert, key }`, with the files' names as `files` and
 * its end in Unix seconds as `ends`. `san` is in OpenSSL's notation; `begins` and `ends` count seconds from now.
 */
export async function make_client(authority, { san, cn = 'client', begins = -60, ends = 3600, usage = 'clientAuth' } = {}) {
  const folder = temporary_folder();
  const file = (name) => join(folder, name);
  const date = (seconds) => new Date(Date.now() + seconds * 1000);
  mkdirSync(file('issued'));
  writeFileSync(file('index.txt'), '');
  writeFileSync(file('ca.cnf'), `[ca]\ndefault_ca = ours\n[ours]\nnew_certs_dir = ${file('issued')}\n` +
    `database = ${file('index.txt')}\nrand_serial = yes\ndefault_md = sha256\npolicy = any\nx509_extensions = of_client\n` +
    `[any]\ncommonName = optional\n[of_client]\nextendedKeyUsage = ${usage}\n${san ? `subjectAltName = ${san}\n` : ''}`);
  await openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/CN=${cn}`,
                '-keyout', file('client.key'), '-out', file('client.csr'));
  const end = date(ends);
  await openssl('ca', '-batch', '-notext', '-config', file('ca.cnf'), '-cert', authority.ca, '-keyfile', authority.ca_key,
                '-startdate', asn1_time(date(begins)), '-enddate', asn1_time(end), '-in', file('client.csr'),
                '-out', file('client.crt'));
  return {
    cert: readFileSync(file('client.crt')), key: readFileSync(file('client.key')),
    files: { certificate: file('client.crt'), key: file('client.key') }, ends: Math.floor(end.getTime() / 1000),
  };
}
