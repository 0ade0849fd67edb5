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
import { bends } from "../sim/bends.ts";
import type { Artifact } from "../sim/load.ts";
import { streamOf } from "../sim/noise-address.ts";
import { type Mode, programTiles, type TileState } from "../sim/program-tiles.ts";
import type { PartResult } from "../sim/run-part.ts";
import type { Chip, StreamOptions } from "../sim/simulate.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { Wasm } from "../wasm/module.ts";
import type { WeightStore } from "../weights/store.ts";
import { lowerTiles } from "./analog.ts";
import { ChipFed, type Feed } from "./chip-source.ts";

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
    if (feeds.length === 0) return new Map();
    const byTile = new Map<number, Feed[]>();
    for (const feed of feeds) {
      byTile.set(feed.tile.number, [...(byTile.get(feed.tile.number) ?? []), feed]);
    }
    const found = new Map<string, Tensor>();
    for (const state of programTiles(this.artifact, { ...chip, seed, timeSeconds })) {
      for (const feed of byTile.get(state.number) ?? []) {
        if (feed.kind !== "gaussian") found.set(feed.name, this.tensorOf(feed.kind, state, seed));
      }
    }
    return found;
  }

  private tensorOf(kind: "weights" | "scales" | "bends", state: TileState, seed: number): Tensor {
    const { weights, scales, number } = state;
    const cols = scales.length;
    if (kind === "weights") return tensor("f32", [weights.length / cols, cols], weights);
    if (kind === "scales") return tensor("f32", [cols], scales);
    const { sShape } = this.artifact.target.analog;
    if (!sShape) throw new Error("the target bends nothing");
    return tensor("f32", [cols], bends(sShape, cols, seed >>> 0, number));
  }
}

/** Draws what is new with every vector. */
class Noise {
  private readonly wasm = new Wasm();

  of(feeds: readonly Feed[], seed: number, inference: number): Tensors {
    return new Map(
      feeds.flatMap((feed) =>
        feed.kind === "gaussian" ? [[feed.name, this.drawn(feed, seed, inference)] as const] : [],
      ),
    );
  }

  private drawn(
    { name, shape, tile, purpose }: Extract<Feed, { kind: "gaussian" }>,
    seed: number,
    inference: number,
  ): Tensor {
    const sizes = shape.map((d) => d ?? unknownSize(name));
    const cols = sizes.at(-1) ?? 1;
    const rows = sizes.slice(0, -1).reduce((a, b) => a * b, 1);
    const width = Math.ceil(cols / 16) * 16;
    const [at = 0] = this.wasm.scratch([rows * width]);
    for (let row = 0; row < rows; row++) {
      const address = [seed >>> 0, streamOf(purpose), row, inference, tile.number] as const;
      this.wasm.call.gaussians(at + 4 * row * width, 0, width, ...address);
    }
    const all = this.wasm.view(at, rows * width);
    const out = new Float32Array(rows * cols);
    if (width === cols) out.set(all);
    else {
      for (let row = 0; row < rows; row++) {
        out.set(all.subarray(row * width, row * width + cols), row * cols);
      }
    }
    return tensor("f32", sizes, out);
  }
}

function unknownSize(name: string): never {
  const text = `only a run decides how many vectors there are for ${name}`;
  return fail("A416", text, { kind: "command" }, "simulate it: --engine wasm");
}
