/**
 * The fuzzer by hand: `npm run fuzz -- --minutes 10`. docs/guide/fuzz.md says how to use it. Ends with status
 * 1 when something broke.
 */

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import fc from "fast-check";
import { createPool, type Pool, smallest, writeDown } from "./pool.ts";
import { type Case, SURFACES } from "./surfaces.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    surface: { type: "string", default: Object.keys(SURFACES).join(",") },
    case: { type: "string" },
    out: { type: "string", default: "out/fuzz" },
  },
});

/** Cases that are drawn with one seed. */
const BATCH = 50;

const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

/** Half of the cases are models: they have most ways of being wrong. */
function* casesFrom(seed: number): Generator<Case> {
  const names = values.surface.split(",");
  const weighted = names.map((name) => {
    const surface = SURFACES[name];
    if (!surface)
      throw new Error(`there is no surface ${name}: ${Object.keys(SURFACES).join(", ")}`);
    return { weight: name === "model" ? names.length : 1, arbitrary: surface.cases };
  });
  for (let batch = 0; ; batch++) {
    yield* fc.sample(fc.oneof(...weighted), { seed: seed + batch, numRuns: BATCH });
  }
}

async function run(pool: Pool): Promise<number> {
  const until = Date.now() + Number(values.minutes) * 60_000;
  const counts = new Map<string, number>();
  const seen = new Set<string>();
  let tried = 0;
  for (const c of casesFrom(Number(values.seed))) {
    if (Date.now() > until) break;
    const { outcomes, find } = await pool.attempt(c);
    tried += 1;
    for (const o of outcomes)
      counts.set(`${c.surface} ${o}`, (counts.get(`${c.surface} ${o}`) ?? 0) + 1);
    if (find === undefined || seen.has(signature(find))) continue;
    seen.add(signature(find));
    const found = await smallest(c, pool);
    const folder = join(values.out, String(seen.size).padStart(3, "0"));
    say(
      `\nFOUND ${folder}: ${JSON.stringify(found?.case ?? c)}\n${found?.what ?? `${find} (once)`}`,
    );
    await writeDown(found ?? { case: c, what: find }, resolve(folder), pool);
  }
  const sorted = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  say(`\n${tried} cases; ${sorted.map(([k, n]) => `${k}: ${n}`).join(", ")}`);
  say(seen.size === 0 ? "nothing broke" : `${seen.size} finds, in ${values.out}`);
  return seen.size === 0 ? 0 : 1;
}

/** Finds with the same words, numbers and names aside, are one. */
const signature = (find: string): string =>
  find
    .split("\n")
    .slice(0, 2)
    .join(" ")
    .replace(/\d+|'[^']*'/g, "#")
    .slice(0, 200);

const pool = await createPool();
try {
  if (values.case === undefined) {
    say(`seed ${values.seed}`);
    process.exitCode = await run(pool);
  } else {
    const result = await pool.attempt(JSON.parse(readFileSync(values.case, "utf8")) as Case);
    say(JSON.stringify(result, null, 2).replaceAll("\\n", "\n"));
    process.exitCode = result.find === undefined ? 0 : 1;
  }
} finally {
  pool.close();
}
