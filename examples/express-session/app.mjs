// An Express application as many are: a login form, sessions in Redis. It knows nothing of Sallyport but the address of
// its socket. PORT, REDIS_URL and SOCKET_URL say where things are; session.secret is shared with Sallyport.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { RedisStore } from 'connect-redis';
import express from 'express';
import session from 'express-session';
import { createClient } from 'redis';

const port = Number(process.env.PORT ?? 3000);
const socket_url = process.env.SOCKET_URL ?? 'ws://localhost:8080/live';
const secret = readFileSync(process.env.SESSION_SECRET_FILE ?? 'session.secret', 'utf8').trimEnd();

const redis = createClient({ url: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379' });
redis.on('error', (error) => console.error(`redis: ${error.message}`));
await redis.connect();

// A real application keeps hashes, in a database.
const passwords = new Map([['ada', 'lovelace'], ['alan', 'turing']]);

const app = express();
app.use(express.static(fileURLToPath(new URL('public', import.meta.url))));
app.use(session({
  store: new RedisStore({ client: redis }),
  secret,
  resave: false,
  saveUninitialized: false,
  cookie: { httpOnly: true, sameSite: 'lax', maxAge: 60 * 60 * 1000 },
}));

app.get('/me', (request, response) => {
  response.json({ user: request.session.user ?? null, socket_url });
});

app.post('/login', express.json(), (request, response, next) => {
  const { user, password } = request.body ?? {};
  if (typeof user !== 'string' || !passwords.has(user) || passwords.get(user) !== password) {
    response.status(401).json({ error: 'no such user or password' });
    return;
  }
  // A new id: whoever knew the old one must not be signed in with it.
  request.session.regenerate((error) => {
    if (error) return next(error);
    request.session.user = user;
    request.session.scopes = ['live'];
    // Stored before the page hears of it, so that it may open its socket at once.
    request.session.save((failed) => (failed ? next(failed) : response.status(204).end()));
  });
});

app.post('/logout', (request, response, next) => {
  request.session.destroy((error) => {
    if (error) return next(error);
    response.clearCookie('connect.sid').status(204).end();
  });
});

const server = app.listen(port, '127.0.0.1', () => {
  console.log(`listening on http://localhost:${server.address().port}`);
});
