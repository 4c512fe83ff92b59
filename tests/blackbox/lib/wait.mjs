// Waiting with a limit, so that a fault of the server is a failed assertion and never a hung run.

/** A factor on the time that anything may take, for a machine that is slow or busy; 1 unless SALLYPORT_SLOW says more. */
export const SLOW = Math.max(1, Number(process.env.SALLYPORT_SLOW ?? 1) || 1);

/** How long anything may take for which the product promises no time of its own. */
export const PATIENCE = 15_000 * SLOW;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The promise's value, or an error that names what did not happen in time. */
export function within(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Does it every so many ms until `clearInterval`; does not keep a test process that has failed. */
export const every = (ms, work) => setInterval(work, ms).unref();

/** Asks again and again until `probe` answers with something truthy, and returns that. */
export async function eventually(probe, what, ms = PATIENCE) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await sleep(20);
  }
}

/** Runs `work` over the items, at most `width` at a time, and keeps their order. */
export async function in_parallel(items, width, work) {
  const results = new Array(items.length);
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index], index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  return results;
}
