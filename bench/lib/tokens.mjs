// The sallyport server's key, configuration and tokens. Keys and one token are made by the command
// itself; tokens by the thousand are signed here, since a process for each would take minutes.
import { execFileSync } from "node:child_process";
import { createPrivateKey, randomUUID, sign } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const issuer = "https://bench.example.com/";
const audience = "bench";
const lifetimeSeconds = 3600;

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

export class TokenMint {
  #key;
  #kid;
  #folder;
  #command;

  constructor(command, folder) {
    this.#command = command;
    this.#folder = folder;
    this.keyFile = join(folder, "key.pem");
    this.jwksFile = join(folder, "jwks.json");
    execFileSync(command, ["key", "new", "--alg", "ES256", "--private", this.keyFile,
      "--jwks", this.jwksFile]);
    this.#key = createPrivateKey(readFileSync(this.keyFile));
    this.#kid = JSON.parse(readFileSync(this.jwksFile, "utf8")).keys[0].kid;
  }

  // A file with one token, minted by `sallyport token mint`.
  one() {
    const token = execFileSync(this.#command, ["token", "mint", "--key", this.keyFile,
      "--alg", "ES256", ...(this.#kid ? ["--kid", this.#kid] : []), "--iss", issuer,
      "--aud", audience, "--sub", "user", "--ttl", "1h"], { encoding: "utf8" });
    return this.#write("one", [token.trim()]);
  }

  // A file with `count` tokens that no server has seen, each of its own subject and id.
  many(name, count) {
    return this.#write(name, Array.from({ length: count }, (_, i) => this.#mint(`user-${i}`)));
  }

  #mint(subject) {
    const now = Math.floor(Date.now() / 1000);
    const header = { alg: "ES256", typ: "JWT", ...(this.#kid ? { kid: this.#kid } : {}) };
    const claims = { iss: issuer, aud: audience, sub: subject, iat: now,
      exp: now + lifetimeSeconds, jti: randomUUID() };
    const input = `${base64url(header)}.${base64url(claims)}`;
    const signature = sign("sha256", Buffer.from(input),
      { key: this.#key, dsaEncoding: "ieee-p1363" });
    return `${input}.${signature.toString("base64url")}`;
  }

  #write(name, tokens) {
    const file = join(this.#folder, `${name}.tokens`);
    writeFileSync(file, tokens.join("\n") + "\n", { mode: 0o600 });
    return file;
  }

  // Everything is as the defaults have it, except what one client machine acting for thousands of
  // users needs (the limit per subject) and what would measure the disk (the log).
  writeConfiguration(tls) {
    const file = join(this.#folder, tls ? "tls.toml" : "plain.toml");
    writeFileSync(file, `[server]
listen = ["127.0.0.1:0"]
workers = 1
drain = "1s"
${tls ? `
[server.tls]
certificate = "${tls.certificate}"
key = "${tls.key}"
` : ""}
[log]
level = "error"

[verifier.main]
type = "jwt"
issuer = "${issuer}"
audience = ["${audience}"]
algorithms = ["ES256"]
jwks_file = "${this.jwksFile}"

[[route]]
path = "/echo"
handler = "echo"
verifiers = ["main"]
credentials = ["header"]
`);
    return file;
  }
}
