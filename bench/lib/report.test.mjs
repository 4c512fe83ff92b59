// node --test bench/lib
import assert from "node:assert/strict";
import { test } from "node:test";

import { median, paired, table, targets } from "./report.mjs";

const row = (name, ...values) =>
  ({ name, label: name, error: null, samples: values.map((server) => ({ server })) });

test("the median is the middle value, or the mean of the middle two", () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1, 3, 2]), 2.5);
});

test("a paired ratio compares rounds, so that drift of the machine cancels out", () => {
  const ratio = paired([row("a", 1, 2, 4), row("b", 2, 4, 8)], (a, b) => a / b);
  assert.equal(ratio, 0.5);
});

test("a failed or absent server has no ratio, rather than a good one", () => {
  const failed = { ...row("a", 1), error: "refused" };
  assert.equal(paired([failed, row("b", 2)], (a, b) => a / b), null);
  assert.equal(paired([undefined, row("b", 2)], (a, b) => a / b), null);
});

test("the table names what failed", () => {
  const failed = { ...row("a", 1), error: "refused" };
  assert.match(table({ title: "T", rows: [row("bun", 2), failed] }), /\| a \| failed: refused \|/);
});

test("a target is met at its limit, missed over it, and neither when not measured", () => {
  const idle = (bytes) => [{ name: "idle", rows: [row("sallyport", bytes)] }];
  const line = (results) => targets(results).find(({ text }) => text.startsWith("idle, plain"));
  assert.equal(line(idle(1024)).met, true);
  assert.equal(line(idle(1025)).met, false);
  assert.match(line(idle(1025)).text, /FAIL$/);
  assert.equal(line([]).met, null);
});

test("a new token may cost its verification on top of a cached one's upgrade", () => {
  const rows = [row("sallyport-new", 202), row("bun", 100), row("verify", 60)];
  const line = targets([{ name: "upgrade", rows }])
    .find(({ text }) => text.startsWith("upgrade, new"));
  assert.equal(line.value, 1);
  assert.equal(line.met, true);
});
