import fc from "fast-check";
import { expect, test } from "vitest";
import type { Domain, Schedule, Select } from "../../../src/artifact/schedule.ts";
import { sizeOf, tensor } from "../../../src/tensor/tensor.ts";
import { type Parts, smallParts } from "../../sim/small-artifact.ts";
import { run, withPrograms } from "./on-clusters.ts";

/** A value that one step writes in blocks and another reads by regions of any kind. */
interface Case {
  readonly shape: readonly number[];
  readonly written: { readonly domain: Domain; readonly select: readonly Select[] };
  readonly read: { readonly domain: Domain; readonly select: readonly Select[] };
  /** Clusters of the writer, of the ring and of the reader. */
  readonly clusters: readonly [number, number, number];
}

const LAST = { batch: "last", token: "last" } as const;
const SAME = { batch: "same", token: { mul: 1, add: 0, div: 1 } } as const;
const NODE = { module: "", nodes: ["/n"], cost: { digitalNs: 1, tileNs: 0, energyNj: 0 } };

const count = ({ batch, tokens, block }: Domain): number => batch * Math.ceil(tokens / block);

function scheduleOf({ shape, written, read, clusters: [from, ring, to] }: Case): Schedule {
  const twice = (buffer: string, select: readonly Select[]) => [
    { buffer, select: [...select] },
    { buffer, select: [...select] },
  ];
  const all = shape.map((): Select => "all");
  const once = { batch: 1, tokens: 1, block: 1 };
  const n = count(written.domain);
  const step = { attrs: {}, kernel: "Add", ...NODE };
  const host = { buffer: "x", step: "host", newest: { batch: "first", token: "first" } as const };
  const whole = { buffer: "m", step: "write", newest: LAST };
  return {
    version: 1,
    inputs: [
      {
        name: "x",
        buffer: "x",
        credits: [{ buffer: "x", reader: "write", distance: 1, release: LAST }],
      },
    ],
    outputs: [{ name: "out", buffer: "y" }],
    buffers: [
      { id: "x", writer: "host", domain: once, select: all, capacity: 1, cluster: from },
      { id: "m", writer: "write", ...written, capacity: n, cluster: ring },
      { id: "y", writer: "read", ...read, capacity: 2, cluster: to },
    ].map((b) => ({ ...b, select: [...b.select], elem: "f32", shape: [...shape], nodes: [] })),
    steps: [
      {
        ...step,
        id: "write",
        cluster: from,
        domain: written.domain,
        reads: twice("x", written.select),
        writes: [{ buffer: "m", select: [...written.select] }],
        waits: [host, host],
        credits: [{ buffer: "m", reader: "read", distance: n, release: LAST }],
        signals: ["m"],
      },
      {
        ...step,
        id: "read",
        cluster: to,
        domain: read.domain,
        reads: twice("m", read.select),
        writes: [{ buffer: "y", select: [...read.select] }],
        waits: [whole, whole],
        credits: [{ buffer: "y", reader: "host", distance: 2, release: SAME }],
        signals: ["y"],
      },
    ],
    clusters: [...new Set([from, to])].map((cluster) => ({
      cluster,
      steps: [...(to === cluster ? ["read"] : []), ...(from === cluster ? ["write"] : [])],
    })),
  };
}

function partsOf(given: Case): Parts {
  const parts = smallParts();
  const port = { name: "x", elem: "f32", shape: given.shape, dims: given.shape.map(() => null) };
  const model = { ...(parts.manifest["model"] as object), inputs: [port], outputs: [] };
  return {
    manifest: { ...parts.manifest, model },
    mapping: { version: 1, weights: [], digital: [], lora: [] },
    schedule: scheduleOf(given),
    tiles: new Map(),
    constants: new Map(),
  };
}

const small = fc.integer({ min: 1, max: 3 });
const tokens = fc.integer({ min: 1, max: 7 });

/** How a reader selects of the axis that has the tokens. */
const along: fc.Arbitrary<Select> = fc.oneof(
  fc.constant<Select>("token"),
  fc.constant<Select>("all"),
  fc.record({ upto: fc.integer({ min: -2, max: 3 }) }),
  fc.record({
    window: fc.integer({ min: 1, max: 5 }),
    offset: fc.integer({ min: -2, max: 2 }),
  }),
);

const domains = fc.record({ batch: small, tokens, blocks: fc.tuple(tokens, tokens) });
const clusters = fc.constantFrom<Case["clusters"]>([0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 2]);

/** Axes of batch and token in any place among up to four others. */
const separate: fc.Arbitrary<Case> = fc
  .record({
    domains,
    others: fc.array(small, { maxLength: 4 }),
    places: fc.tuple(fc.nat(), fc.nat()),
    how: fc.tuple(fc.constantFrom<Select>("batch", "all"), along),
    clusters,
  })
  .map(({ domains: { batch, tokens: t, blocks }, others, places, how, clusters: c }) => {
    const put = <T>(list: readonly T[], b: T, k: T): T[] => {
      const first = list.toSpliced(places[0] % (list.length + 1), 0, b);
      return first.toSpliced(places[1] % (first.length + 1), 0, k);
    };
    const all = others.map((): Select => "all");
    const domain = (block: number): Domain => ({ batch, tokens: t, block: Math.min(t, block) });
    return {
      shape: put(others, batch, t),
      written: { domain: domain(blocks[0]), select: put(all, "batch", "token") },
      read: { domain: domain(blocks[1]), select: put(all, how[0], how[1]) },
      clusters: c,
    };
  });

/** Batch and token in one axis. */
const flattened: fc.Arbitrary<Case> = fc
  .record({
    domains,
    before: small,
    behind: small,
    how: fc.constantFrom<Select>("row", "all"),
    clusters,
  })
  .map(({ domains: { batch, tokens: t, blocks }, before, behind, how, clusters: c }) => {
    const domain = (block: number): Domain => ({ batch, tokens: t, block: Math.min(t, block) });
    return {
      shape: [before, batch * t, behind],
      written: { domain: domain(blocks[0]), select: ["all", "row", "all"] },
      read: { domain: domain(blocks[1]), select: ["all", how, "all"] },
      clusters: c,
    };
  });

const judged = (cases: fc.Arbitrary<Case>, seed: number): Promise<void> =>
  fc.assert(
    fc.asyncProperty(cases, async (given) => {
      const inputs = [1, 2].map((k) => {
        const data = Float32Array.from({ length: sizeOf(given.shape) }, (_, i) => i + 1000 * k);
        return new Map([["x", tensor("f32", given.shape, data)]]);
      });
      const { steps } = await run(withPrograms(partsOf(given)), inputs);
      const n = [given.written.domain, given.read.domain].map((d) => 2 * count(d));
      expect(steps.map((s) => s.check)).toEqual(
        n.map((blocks) => ({ blocks, same: blocks, worst: 0, rounding: 0 })),
      );
    }),
    { numRuns: 25, seed },
  );

test("regions of any kind, of blocks of any size, are what their kernels read", () =>
  judged(separate, 1));

test("regions of batches and tokens in one axis", () => judged(flattened, 2));
