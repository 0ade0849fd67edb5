/** Where a lowered model has what differs between chips from: out of itself, or with every run. */

import type { Port, Value } from "../ir/op.ts";
import type { Artifact } from "../sim/load.ts";
import { Programmer, type Programming } from "../sim/program-tiles.ts";
import type { Dim, TensorType } from "../tensor/tensor.ts";
import type { Builder } from "./builder.ts";
import { nameOf, rowsOf, type Strip } from "./strip.ts";
import { type Part, StripNumbers } from "./strip-numbers.ts";

/** Vectors of a launch: all, or those at `at`, i64 [n]. */
export interface Vectors {
  readonly shape: readonly Dim[];
  readonly at?: Value;
}

export interface ChipSource {
  /** Graph inputs besides those of the model. */
  readonly inputs: readonly Port[];
  /** Whether values are those of all vectors, as they are for who looks inside, where fewer would do. */
  readonly isWhole: boolean;
  /** What the devices of a strip hold. */
  part(b: Builder, strip: Strip, part: Part): Value;
  /** Standard gaussians of the shape of y, new with every vector; y is of `vectors`. */
  gaussian(b: Builder, y: Value, strip: Strip, purpose: number, vectors: Vectors): Value;
}

/** Nodes of this name become RandomNormalLike when the model is written: the IR itself is deterministic. */
export const NOISE = "analog-noise";

/** One chip, in constants and random nodes. */
export class ChipInside implements ChipSource {
  readonly inputs = [];
  readonly isWhole = false;
  private readonly numbers: ChipNumbers;
  private readonly seed: number;

  constructor(artifact: Artifact, how: Programming) {
    this.numbers = new ChipNumbers(artifact, how);
    this.seed = how.seed;
  }

  part(b: Builder, strip: Strip, part: Part): Value {
    return b.constant(this.numbers.of(strip).get(part));
  }

  gaussian(b: Builder, y: Value): Value {
    return b.op("Identity", [y], y.type, {}, [`${NOISE}/${this.seed}/${b.ops.length}`]);
  }
}

/** The strips of one chip, each when it is asked for. */
export class ChipNumbers {
  private readonly artifact: Artifact;
  private readonly seed: number;
  private readonly programmer: Programmer;
  private last: { readonly name: string; readonly numbers: StripNumbers } | undefined;

  constructor(artifact: Artifact, how: Programming) {
    this.artifact = artifact;
    this.seed = how.seed;
    this.programmer = new Programmer(artifact, how);
  }

  /** Remembers the last: the parts of a strip are asked for together. */
  of(strip: Strip): StripNumbers {
    const name = nameOf(strip);
    if (this.last?.name === name) return this.last.numbers;
    const states = strip.tiles.map(({ weight, block, number }) =>
      this.programmer.program(weight, block, number),
    );
    const numbers = new StripNumbers(strip, states, this.artifact.target, this.seed);
    this.last = { name, numbers };
    return numbers;
  }
}

/** What a run is to be given for one input. */
export type Feed =
  | { readonly kind: "part"; readonly name: string; readonly strip: Strip; readonly part: Part }
  | {
      readonly kind: "gaussian";
      readonly name: string;
      readonly strip: Strip;
      readonly purpose: number;
      readonly shape: TensorType["shape"];
      /** The vectors that need it, i64 [n]; without, all do. */
      readonly at?: Value;
    };

/** Any chip: its strips and its noise are inputs of the graph, each once however often it is used. */
export class ChipFed implements ChipSource {
  readonly inputs: Port[] = [];
  readonly feeds: Feed[] = [];
  readonly isWhole: boolean;
  private readonly known = new Map<string, Value>();

  constructor(isWhole: boolean) {
    this.isWhole = isWhole;
  }

  part(_: Builder, strip: Strip, part: Part): Value {
    const { cols } = strip;
    const name = `chip.${nameOf(strip)}.${part}`;
    const isMatrix = part === "weights" || part === "sizes" || part === "distances";
    const elem = part === "sizes" || part === "distances" ? "i8" : "f32";
    const shape = isMatrix ? [rowsOf(strip), cols] : [cols];
    return this.input({ kind: "part", name, strip, part }, { elem, shape });
  }

  /** What has to be whole is given those of all vectors: which are taken, only the run knows. */
  gaussian(b: Builder, y: Value, strip: Strip, purpose: number, { shape, at }: Vectors): Value {
    const all = [...shape, strip.cols];
    const name = ["chip", nameOf(strip), "noise", purpose, all.join("x"), at?.id ?? "all"].join(
      ".",
    );
    const feed = {
      kind: "gaussian",
      name,
      strip,
      purpose,
      shape: all,
      ...(at ? { at } : {}),
    } as const;
    if (at && !this.isWhole) return this.input(feed, y.type);
    const given = this.input(feed, { elem: "f32", shape: all });
    return at ? b.op("Gather", [given, at], y.type) : given;
  }

  private input(feed: Feed, type: TensorType): Value {
    const known = this.known.get(feed.name);
    if (known) return known;
    const value: Value = { id: feed.name, type };
    this.known.set(feed.name, value);
    this.inputs.push({ name: feed.name, value });
    this.feeds.push(feed);
    return value;
  }
}
