// A certificate authority for one test run, made by openssl.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
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
  return { ca: file('ca.crt'), certificate: file('server.crt'), key: file('server.key') };
}
