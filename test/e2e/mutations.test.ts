/**
 * Damages a good artifact in one place at a time. Whoever verifies it must be told where: the simulator has
 * the artifact alone to find out.
 */
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Mapping } from "../../src/artifact/mapping.ts";
import type { Schedule } from "../../src/artifact/schedule.ts";
import { verifyWith } from "../../src/cli/commands/verify.ts";
import { InputError } from "../../src/diag/diagnostic.ts";
import { loadArtifact } from "../../src/sim/load.ts";
import { aimcc, place } from "./cli.ts";
import { compile, core } from "./corpus.ts";

const { model, data } = core("gpt2_lm_t113hf433");
let good = "";
let schedule: Schedule;
let mapping: Mapping;

const json = <T>(dir: string, file: string): T => JSON.parse(readFileSync(join(dir, file), "utf8"));

beforeAll(async () => {
  good = join(place(), "artifact");
  // Small blocks of tokens and small tiles: many waits, many rings, many blocks.
  await compile(model, good, data[1], { tokens: 2, target: smallTiles() });
  schedule = json(good, "schedule.json");
  mapping = json(good, "mapping.json");
});

function smallTiles(): string {
  const path = join(place(), "small-tiles.yaml");
  const text = readFileSync("targets/ahwa-lora.yaml", "utf8")
    .replace(/^name: .*/m, "name: small-tiles")
    .replace("rows: { value: 512", "rows: { value: 48")
    .replace("cols: { value: 512", "cols: { value: 64");
  writeFileSync(path, text);
  return path;
}

/** A copy with one file changed. */
function damaged<T>(file: string, change: (content: T) => void): string {
  const dir = join(place(), "artifact");
  cpSync(good, dir, { recursive: true });
  const content = json<T>(dir, file);
  change(content);
  writeFileSync(join(dir, file), JSON.stringify(content));
  return dir;
}

/** What `aimcc verify` says of an artifact: the faults that it finds, or where it deviates. */
async function verdict(dir: string): Promise<string> {
  try {
    const options = { mode: "ideal", seed: 0, seeds: 1, time: [0] } as const;
    const { verdict: found, firstDeviating } = await verifyWith(
      loadArtifact(dir),
      options,
      () => undefined,
    );
    return found === "agrees" ? "agrees" : `differs: ${JSON.stringify(firstDeviating)}`;
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
}

test("undamaged, it agrees", async () => {
  expect(await verdict(damaged("schedule.json", () => undefined))).toBe("agrees");
});

describe("waits", () => {
  test("every two waits of a step that are swapped are noticed, and the step is named", async () => {
    let tried = 0;
    for (const [s, step] of schedule.steps.entries()) {
      for (let k = 1; k < step.waits.length; k++) {
        if (JSON.stringify(step.waits[k]) === JSON.stringify(step.waits[k - 1])) continue;
        const dir = damaged<Schedule>("schedule.json", (c) => {
          const waits = c.steps[s]?.waits ?? [];
          [waits[k - 1], waits[k]] = [waits[k] as never, waits[k - 1] as never];
        });
        expect(await verdict(dir)).toContain(`'${step.id}'`);
        tried += 1;
      }
    }
    expect(tried).toBeGreaterThan(10);
  });

  test("every wait that is one block too early is noticed, and the step is named", async () => {
    let tried = 0;
    for (const [s, step] of schedule.steps.entries()) {
      for (const [k, { newest }] of step.waits.entries()) {
        const { token } = newest;
        if (typeof token === "string" || token.mul !== 1 || token.div !== 1) continue;
        if (Math.ceil(step.domain.tokens / step.domain.block) < 2) continue;
        const dir = damaged<Schedule>("schedule.json", (c) => {
          const wait = c.steps[s]?.waits[k];
          if (wait && typeof wait.newest.token === "object") wait.newest.token.add -= 1;
        });
        expect(await verdict(dir)).toContain(`'${step.id}'`);
        tried += 1;
      }
    }
    expect(tried).toBeGreaterThan(10);
  });
});

test("every ring that is one block smaller is noticed, and the buffer is named", async () => {
  let tried = 0;
  for (const [b, { id, capacity }] of schedule.buffers.entries()) {
    if (capacity === 1) continue;
    const dir = damaged<Schedule>("schedule.json", (c) => {
      const buffer = c.buffers[b];
      if (buffer) buffer.capacity -= 1;
    });
    expect(await verdict(dir)).toContain(`'${id}'`);
    tried += 1;
  }
  expect(tried).toBeGreaterThan(10);
});

describe("blocks", () => {
  const gridded = () =>
    mapping.weights.findIndex((w) => w.rowSplits.length * w.colSplits.length > 4);
  const change = (mutate: (w: Mapping["weights"][number]) => void): string =>
    damaged<Mapping>("mapping.json", (c) => {
      const weight = c.weights[gridded()];
      if (weight) mutate(weight);
    });
  const name = () => mapping.weights[gridded()]?.name ?? "";

  test("rows that are cut elsewhere", async () => {
    const dir = change((w) => {
      // Blocks of another size can be told apart by what is computed, or do not fit a tile.
      const splits = w.rowSplits.length > 2 ? w.rowSplits : w.colSplits;
      const last = splits.length - 2;
      splits[last] = (splits[last] ?? 0) - 1;
    });
    expect(await verdict(dir)).toContain(name());
  });

  test("two weights that hold each other's values", async () => {
    const alike = (w: Mapping["weights"][number], i: number, all: Mapping["weights"]) =>
      all.findIndex((v) => v.rows === w.rows && v.cols === w.cols && v.elem === w.elem) < i;
    const second = mapping.weights.findIndex(alike);
    const { rows, cols } = mapping.weights[second] ?? {};
    const first = mapping.weights.findIndex((w) => w.rows === rows && w.cols === cols);
    const dir = damaged<Mapping>("mapping.json", ({ weights }) => {
      const [a, b] = [weights[first], weights[second]];
      if (!a || !b || a === b) throw new Error("two weights of one size");
      [a.values, b.values, a.scales, b.scales] = [b.values, a.values, b.scales, a.scales];
    });
    expect(await verdict(dir)).toContain(mapping.weights[first]?.name);
  });

  test("one on a tile that is taken", async () => {
    const dir = change((w) => {
      const [first = 0] = w.tiles;
      const count = (w.rowSplits.length - 1) * (w.colSplits.length - 1);
      w.tiles = Array.from({ length: count }, (_, i) => first + (i === 1 ? 0 : i));
    });
    expect(await verdict(dir)).toContain(`'${name()}'`);
  });

  test("rows that are in no block", async () => {
    const dir = change(({ rowSplits }) => {
      rowSplits.pop();
    });
    expect(await verdict(dir)).toContain(`'${name()}'`);
  });
});

test("aimcc verify ends with status 2 and says which file it is about", async () => {
  const dir = damaged<Schedule>("schedule.json", (c) => {
    const buffer = c.buffers.find((b) => b.capacity > 1);
    if (buffer) buffer.capacity -= 1;
  });
  const { status, stderr, stdout } = await aimcc("verify", dir);
  expect(status).toBe(2);
  expect(stderr).toMatch(/^error\[A4\d\d\]: /);
  expect(stdout).toBe("");
});

test("a weight that is not the model's makes verify end with status 1, and the layer is named", async () => {
  const dir = join(place(), "artifact");
  cpSync(good, dir, { recursive: true });
  const path = join(dir, "tiles.safetensors");
  const bytes = readFileSync(path);
  const weight = mapping.weights[2];
  const values = weight?.values ?? "";
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length));
  const [from, to] = header[values].data_offsets as [number, number];
  for (let at = from; at < to; at += 4) bytes.writeFloatLE(0, 8 + length + at);
  writeFileSync(path, bytes);
  const { status, stdout } = await aimcc("verify", dir);
  expect(stdout).toMatch(/^differs/m);
  expect(stdout).toContain(`weight ${weight?.name}`);
  expect(status).toBe(1);
});
