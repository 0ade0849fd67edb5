/**
 * Runs chips on ONNX Runtime: the lowered model is made once, and each chip's tiles and noise are fed to it. The
 * noise has the addresses of src/sim/noise-address.ts, so a chip is the same as on the simulator.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
import { type Tensor, zeros } from "../tensor/tensor.ts";
import { Wasm } from "../wasm/module.ts";
import type { WeightStore } from "../weights/store.ts";
import { lowerTiles } from "./analog.ts";
import { ChipFed, ChipNumbers, type Feed } from "./chip-source.ts";
import { widthOf } from "./strip.ts";

type Tensors = ReadonlyMap<string, Tensor>;

/** A program and the constants that it names. */
export interface Program {
  readonly module: Module;
  readonly store: WeightStore;
}

/** A mode made ready. */
interface Ready {
  readonly session: Session;
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
    const { session, tap, feeds } = this.ready;
    const of = JSON.stringify([chip.mode, chip.seed, chip.timeSeconds]);
    if (this.fed?.of !== of) this.fed = { values: this.chipFeeds(chip, feeds), of };
    const { values: fixed } = this.fed;
    const outputs: Tensors[] = [];
    let tapped: Tensors = new Map();
    for (const [k, given] of inputs.entries()) {
      const all = new Map([...given, ...fixed, ...this.noise.of(feeds, chip.seed ?? 0, k)]);
      outputs.push(await session.run(all));
      if (k === 0 && tap) {
        const found = await tap.run(all);
        tapped = new Map([...found].filter(([name]) => taps.includes(name)));
      }
      progress(outputs.length);
    }
    return { outputs, taps: inputs.map((_, k) => (k === 0 ? tapped : new Map())) };
  }

  async close(): Promise<void> {
    const { ready } = this;
    this.ready = undefined;
    await ready?.session.close();
    await ready?.tap?.close();
  }

  private async prepare(mode: Mode): Promise<Ready> {
    const { module, store } = this.program;
    const chip = new ChipFed();
    const lowered = mode === "ideal" ? module : lowerTiles(module, this.artifact, mode, chip);
    if (!needsDataFile(lowered)) return this.open(exportModule(lowered, store), chip.feeds);
    const folder = mkdtempSync(join(tmpdir(), "aimcc-"));
    try {
      const path = join(folder, "lowered.onnx");
      exportModuleToFile(lowered, store, path);
      // ONNX Runtime has read or mapped all data when this returns, so the folder may go.
      return await this.open(path, chip.feeds);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** A file, or the bytes of one. */
  private async open(source: string | Uint8Array, feeds: readonly Feed[]): Promise<Ready> {
    const { threads, taps = [] } = this.options;
    const some = threads === undefined ? {} : { threads };
    const session = await openModel(source, some);
    const tap =
      taps.length === 0 ? null : await tapModel(source, taps, { ...some, optimisation: "basic" });
    return { session, tap, feeds };
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

  of(feeds: readonly Feed[], seed: number, inference: number): Tensors {
    const drawn = feeds.filter((feed) => feed.kind === "gaussian");
    return new Map(drawn.map((feed) => [feed.name, this.drawn(feed, seed, inference)]));
  }

  private drawn(feed: Drawn, seed: number, inference: number): Tensor {
    const held = this.held.get(feed.name) ?? zeros("f32", sizesOf(feed));
    this.held.set(feed.name, held);
    const out = held.data as Float32Array;
    const { cols, tiles } = feed.strip;
    const stream = streamOf(feed.purpose);
    for (const { block, number, at: first } of tiles) {
      const width = Math.ceil(widthOf(block) / 16) * 16;
      const [at = 0] = this.wasm.scratch([width]);
      const results = this.wasm.view(at, widthOf(block));
      for (let row = 0, i = first; i < out.length; row++, i += cols) {
        this.wasm.call.gaussians(at, 0, width, seed >>> 0, stream, row, inference, number);
        out.set(results, i);
      }
    }
    return held;
  }
}

function sizesOf({ name, shape }: Drawn): number[] {
  return shape.map((d) => d ?? unknownSize(name));
}

function unknownSize(name: string): never {
  const text = `only a run decides how many vectors there are for ${name}`;
  return fail("A416", text, { kind: "command" }, "simulate it: --engine wasm");
}
