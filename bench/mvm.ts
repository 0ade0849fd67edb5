/**
 * The standard error of a product (Rasch et al., Nature Communications 14:5282 (2023)) on every device model, as the
 * devices drift, and what each source of noise adds to it:
 *
 *   npm run bench:mvm [-- DEVICE ...]
 *
 * DEVICE is the name of a device model or a file; all that come with the compiler if none is given. Around the devices
 * is the standard model, target `ahwa-lora`. Prints tables in Markdown, which docs/benchmarks.md quotes.
 */

import { noiseSources } from "../src/compare/noise-sources.ts";
import type { Artifact } from "../src/sim/load.ts";
import { listDevices, loadDevice, loadTarget } from "../src/target/load.ts";
import { standardError, standardMachine } from "../test/sim/standard-product.ts";

const DAY = 86_400;
const TIMES: readonly (readonly [string, number])[] = [
  ["1 s", 1],
  ["1 h", 3600],
  ["1 d", DAY],
  ["1 y", 365 * DAY],
  ["10 y", 3650 * DAY],
];
/** Chips whose errors are averaged. */
const SEEDS = [1, 2, 3, 4, 5];
/** The one published value; the paper does not say at which time. */
const PUBLISHED: Readonly<Record<string, string>> = {
  "pcm-like-25us": "about 15 % (Rasch et al.)",
};

const named = process.argv.slice(2);
const names = named.length > 0 ? named : listDevices();
row("device", ...TIMES.map(([name]) => name), "published");
row(...Array.from({ length: TIMES.length + 2 }, () => "---"));
for (const name of names) {
  const machine = machineWith(name);
  row(name, ...TIMES.map(([, time]) => percent(machine, time)), PUBLISHED[name] ?? "-");
}
for (const name of names) ablations(name);

function machineWith(device: string): Artifact {
  return standardMachine({ ...loadTarget("ahwa-lora"), device: loadDevice(device) });
}

/** Each source alone on, and alone off. */
function ablations(name: string): void {
  const machine = machineWith(name);
  const sources = noiseSources(machine.target, "noisy");
  process.stdout.write(`\n${name}\n\n`);
  const heads = ["alone, 1 s", "alone, 1 y", "without, 1 s", "without, 1 y"];
  row("source", ...heads);
  row("---", ...heads.map(() => "---"));
  const times = [1, 365 * DAY];
  for (const source of sources) {
    const others = sources.filter((s) => s !== source);
    const alone = others.reduce((m, s) => s.off(m), machine);
    const without = source.off(machine);
    row(source.name, ...[alone, without].flatMap((m) => times.map((t) => percent(m, t))));
  }
}

/** Mean over the chips, and one standard deviation. */
function percent(machine: Artifact, timeSeconds: number): string {
  const errors = SEEDS.map((seed) => 100 * standardError(machine, { seed, timeSeconds }));
  const mean = errors.reduce((a, b) => a + b, 0) / errors.length;
  const square = errors.reduce((a, e) => a + (e - mean) ** 2, 0) / (errors.length - 1);
  return `${mean.toFixed(2)} ± ${Math.sqrt(square).toFixed(2)} %`;
}

function row(...cells: readonly string[]): void {
  process.stdout.write(`| ${cells.join(" | ")} |\n`);
}
