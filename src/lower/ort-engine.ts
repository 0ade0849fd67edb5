/**
 * Runs chips on ONNX Runtime: the lowered model is made once, and each chip's tiles and noise are fed to it. The
 * noise has the addresses of src/sim/noise-address.ts, so a chip is the same as on the simulator.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MappedWeight } from "../artifact/mapping.ts";
import { fail } from "../diag/diagnostic.ts";
import type { Module } from "../ir/op.ts";
import { exportModule, exportModuleToFile, needsDataFile } from "../onnx/export.ts";
import { openModel, type Session } from "../reference/run.ts";
import { type Tap, tapModel } from "../reference/tap.ts";
import type { Artifact } from "../sim/load.ts";
import { streamOf } from "../sim/noise-address.ts";
import type { Mode } from "../sim/program-tiles.ts";
import type { PartResult } from "../sim/run-part.ts";
import type { Chip, StreamOptions } from "../sim/simulate.ts";
import { toNumbers } from "../tensor/convert.ts";
import { type Tensor, zeros } from "../tensor/tensor.ts";
import { Wasm } from "../wasm/module.ts";
import type { WeightStore } from "../weights/store.ts";
import { lowerExperts, lowerTiles } from "./analog.ts";
import { ChipFed, ChipNumbers, type Feed } from "./chip-source.ts";
import { nameBetween, partsOf } from "./parts.ts";
import { widthOf } from "./strip.ts";

type Tensors = ReadonlyMap<string, Tensor>;

/** A program and the constants that it names. */
export interface Program {
  readonly module: Module;
  readonly store: WeightStore;
}

/** A mode made ready. */
interface Ready {
  /** Of the parts of the model, in their order. */
  readonly sessions: readonly Session[];
  /** For the values inside, of the first inference. */
  readonly tap: Tap | null;
  readonly feeds: readonly Feed[];
}

export class OrtEngine {
  private readonly artifact: Artifact;
  private readonly program: Program;
  private readonly options: StreamOptions;
  private readonly noise = new Noise();
  /** What of the last chip is the same for all vectors. */
  private fed: { readonly values: Tensors; readonly of: string } | undefined;
  private ready: (Ready & { readonly mode: Mode }) | undefined;

  constructor(artifact: Artifact, program: Program, options: StreamOptions) {
    this.artifact = artifact;
    this.program = program;
    this.options = options;
  }

  /** Errors: A416 for what ONNX cannot say. */
  async run(chip: Chip, progress: (done: number) => void): Promise<PartResult> {
    const { inputs, taps = [] } = this.options;
    if (this.ready?.mode !== chip.mode) {
      await this.close();
      this.ready = { ...(await this.prepare(chip.mode)), mode: chip.mode };
    }
    const { sessions, tap, feeds } = this.ready;
    const of = JSON.stringify([chip.mode, chip.seed, chip.timeSeconds]);
    if (this.fed?.of !== of) this.fed = { values: this.chipFeeds(chip, feeds), of };
    const { values: fixed } = this.fed;
    const seed = chip.seed ?? 0;
    const outputs: Tensors[] = [];
    let tapped: Tensors = new Map();
    for (const [k, given] of inputs.entries()) {
      const values = new Map([...given, ...fixed]);
      for (const session of sessions) {
        const needed = new Set(session.inputs);
        const noise = this.noise.of(
          feeds.filter(({ name }) => needed.has(name)),
          seed,
          k,
          values,
        );
        const all = [...values, ...noise].filter(([name]) => needed.has(name));
        for (const [name, value] of await session.run(new Map(all))) values.set(name, value);
      }
      const names = this.program.module.outputs.map(({ name }) => name);
      outputs.push(new Map(names.map((name) => [name, values.get(name) as Tensor])));
      if (k === 0 && tap) {
        const noise = this.noise.of(feeds, seed, k, new Map());
        const found = await tap.run(new Map([...given, ...fixed, ...noise]));
        tapped = new Map([...found].filter(([name]) => taps.includes(name)));
      }
      progress(outputs.length);
    }
    return { outputs, taps: inputs.map((_, k) => (k === 0 ? tapped : new Map())) };
  }

  async close(): Promise<void> {
    const { ready } = this;
    this.ready = undefined;
    for (const session of ready?.sessions ?? []) await session.close();
    await ready?.tap?.close();
  }

  private async prepare(mode: Mode): Promise<Ready> {
    const { module } = this.program;
    const chip = new ChipFed();
    const lowered =
      mode === "ideal" ? lowerExperts(module) : lowerTiles(module, this.artifact, mode, chip);
    const { threads, taps = [] } = this.options;
    const some = threads === undefined ? {} : { threads };
    const waits = chip.feeds.flatMap((feed) =>
      feed.kind === "gaussian" && feed.at ? [[feed.name, feed.at] as const] : [],
    );
    const sessions: Session[] = [];
    for (const part of partsOf(lowered, new Map(waits))) {
      sessions.push(await this.opened(part, (source) => openModel(source, some)));
    }
    const inside = { ...some, optimisation: "basic" } as const;
    const tap =
      taps.length === 0
        ? null
        : await this.opened(lowered, (source) => tapModel(source, taps, inside));
    return { sessions, tap, feeds: chip.feeds };
  }

  /** Opens a module as the bytes of a file, or as a file where these would be too many. */
  private async opened<T>(
    module: Module,
    open: (source: string | Uint8Array) => Promise<T>,
  ): Promise<T> {
    const { store } = this.program;
    if (!needsDataFile(module)) return await open(exportModule(module, store));
    const folder = mkdtempSync(join(tmpdir(), "aimcc-"));
    try {
      const path = join(folder, "lowered.onnx");
      exportModuleToFile(module, store, path);
      // ONNX Runtime has read or mapped all data when this returns, so the folder may go.
      return await open(path);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** What is the same for all vectors. */
  private chipFeeds(chip: Chip, feeds: readonly Feed[]): Tensors {
    const { seed = 0, timeSeconds = 0 } = chip;
    const numbers = new ChipNumbers(this.artifact, { ...chip, seed, timeSeconds });
    const found = new Map<string, Tensor>();
    for (const feed of feeds) {
      if (feed.kind === "part") found.set(feed.name, numbers.of(feed.strip).get(feed.part));
    }
    return found;
  }
}

type Drawn = Extract<Feed, { kind: "gaussian" }>;

/** Draws what is new with every vector. */
class Noise {
  private readonly wasm = new Wasm();
  /** Of the last inference, by name: the next takes their place. */
  private readonly held = new Map<string, Tensor>();

  /** For the vectors that `values` has for a feed, or for all. */
  of(feeds: readonly Feed[], seed: number, inference: number, values: Tensors): Tensors {
    const drawn = feeds.filter((feed) => feed.kind === "gaussian");
    return new Map(
      drawn.map((feed) => {
        const at = feed.at && values.get(nameBetween(feed.at));
        return [feed.name, this.drawn(feed, seed, inference, at && toNumbers(at))];
      }),
    );
  }

  private drawn(
    feed: Drawn,
    seed: number,
    inference: number,
    vectors: readonly number[] | undefined,
  ): Tensor {
    const held = this.held.get(feed.name) ?? zeros("f32", sizesOf(feed));
    this.held.set(feed.name, held);
    const out = held.data as Float32Array;
    const { cols, tiles } = feed.strip;
    const stream = streamOf(feed.purpose);
    const rows = vectors ?? Array.from({ length: out.length / cols }, (_, row) => row);
    for (const { block, number, at: first } of tiles) {
      const width = Math.ceil(widthOf(block) / 16) * 16;
      const [at = 0] = this.wasm.scratch([width]);
      const results = this.wasm.view(at, widthOf(block));
      for (const row of rows) {
        this.wasm.call.gaussians(at, 0, width, seed >>> 0, stream, row, inference, number);
        out.set(results, first + row * cols);
      }
    }
    return held;
  }
}

function sizesOf({ strip, shape }: Drawn): number[] {
  return shape.map((d) => d ?? unknownSize(strip.tiles[0].weight));
}

function unknownSize({ name, module }: MappedWeight): never {
  const text = `only a run decides how many vectors meet the weight '${name}' of ${module || "the graph"}`;
  return fail("A416", text, { kind: "command" }, "simulate it: --engine wasm");
}
