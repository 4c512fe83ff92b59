// From samples to a table and to the comparison with the targets.

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const figures = (row) => row.samples.map((sample) => sample.server);
const usable = (row) => row && !row.error && row.samples.length > 0;
const format = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(2));

// The median of what `of` makes of the rounds one by one: drift of the machine cancels out.
export function paired(rows, of) {
  if (!rows.every(usable)) return null;
  const rounds = Math.min(...rows.map((row) => row.samples.length));
  return median(Array.from({ length: rounds },
    (_, round) => of(...rows.map((row) => row.samples[round].server))));
}

export function table(result) {
  const bun = result.rows.find((row) => row.name === "bun");
  const lines = [`### ${result.title}`, "",
    "| server | median | lowest to highest | of Bun's, round by round |", "|---|---|---|---|"];
  for (const row of result.rows) {
    if (!usable(row)) {
      lines.push(`| ${row.label} | failed: ${row.error} | | |`);
      continue;
    }
    const values = figures(row);
    const ratio = row === bun ? null : paired([row, bun], (mine, theirs) => mine / theirs);
    const range = values.length > 1
      ? `${format(Math.min(...values))} to ${format(Math.max(...values))}` : "";
    lines.push(`| ${row.label} | ${format(median(values))} | ${range} | ` +
      `${ratio === null ? "" : ratio.toFixed(2)} |`);
  }
  return lines.join("\n");
}

// One target: a line of text, and whether it is met; null where it was not measured.
function judge(text, value, limit) {
  if (value === null) return { text: `${text}: not measured`, met: null };
  const met = value <= limit;
  return { text: `${text}: ${format(value)} (target <= ${format(limit)}) ${met ? "PASS" : "FAIL"}`,
    value, limit, met };
}

export function targets(results) {
  const row = (scenario, name) => results.find((result) => result.name === scenario)
    ?.rows.find((candidate) => candidate.name === name);
  const ratio = (scenario, name, peer) =>
    paired([row(scenario, name), row(scenario, peer)], (mine, theirs) => mine / theirs);
  const memory = (scenario) => paired([row(scenario, "sallyport")], (bytes) => bytes);
  return [
    judge("echo 20 B: sallyport/bun", ratio("echo-20", "sallyport", "bun"), 1),
    judge("echo 20 B: sallyport/beast", ratio("echo-20", "sallyport", "beast"), 0.85),
    judge("echo 1 KiB: sallyport/bun", ratio("echo-1024", "sallyport", "bun"), 1),
    judge("echo 1 KiB: sallyport/beast", ratio("echo-1024", "sallyport", "beast"), 0.85),
    judge("upgrade, cached token: sallyport/bun", ratio("upgrade", "sallyport", "bun"), 1.3),
    judge("upgrade, new ES256 token: sallyport/(1.3 bun + 1.2 verify)",
      paired([row("upgrade", "sallyport-new"), row("upgrade", "bun"), row("upgrade", "verify")],
        (mine, bun, verify) => mine / (1.3 * bun + 1.2 * verify)), 1),
    judge("idle, plain: sallyport bytes", memory("idle"), 1024),
    judge("idle, TLS: sallyport bytes", memory("idle-tls"), 12 * 1024),
  ];
}
