/** The shape of a pass: a function from module to module, with the facts it needs and gives. */

import type { CalibratedWeight } from "../src/artifact/calibration.ts";
import type { Diagnostic } from "../src/diag/diagnostic.ts";
import type { Module, Op, Value } from "../src/ir/op.ts";
import type { Target } from "../src/target/schema.ts";
import type { Elem, Tensor } from "../src/tensor/tensor.ts";
import type { WeightStore } from "../src/weights/store.ts";
import type { Fact } from "./facts.ts";
import type { Options } from "./options.ts";

/** Something worth telling the user that is not a fault: what a pass did, and to which nodes. */
export interface Remark {
  readonly text: string;
  readonly nodes: readonly string[];
}

/** Why an operation that a pattern nearly fits stays as it is: the first condition that did not hold. */
export interface NearMiss {
  /** The operation; its results keep their identity until another pass takes it up. */
  readonly op: Op;
  /** What it nearly is: `attention`, `layer norm`. */
  readonly pattern: string;
  /** The condition, as the end of a sentence that begins "not recognised as …:". */
  readonly why: string;
  /** The ONNX nodes, or graph inputs, at which it failed. */
  readonly nodes: readonly string[];
}

/** A call of a digital kernel, as far as it decides how long the kernel takes. */
export interface MeasuredCall {
  /** As in schedule.json. */
  readonly kernel: string;
  readonly attrs: Readonly<Record<string, unknown>>;
  /** null for absent ones; `constant` is the whole of a constant that is at hand. */
  readonly operands: readonly ((Sized & { readonly constant?: Tensor }) | null)[];
  readonly results: readonly Sized[];
}

interface Sized {
  readonly elem: Elem;
  readonly shape: readonly number[];
}

export interface PassContext {
  readonly target: Target;
  readonly options: Options;
  readonly weights: WeightStore;
  /** Reports a fault of the user's input; the pipeline stops after the stage that reported it. */
  report(d: Diagnostic): void;
  /** Other targets to suggest when this one is too small. */
  alternatives?(): readonly Target[];
  remark(r: Remark): void;
  /** The module around a node, dotted, as the exporter noted it, by the node's name. Absent: none did. */
  readonly scopes?: ReadonlyMap<string, string>;
  /** Hears of every near miss; most are taken up by later passes. Absent: nobody asks. */
  missed?(m: NearMiss): void;
  /** Hears what the full scales of each weight cost. Absent: nobody asks. */
  calibrated?(w: CalibratedWeight): void;
  /**
   * Cycles that a cluster takes for the machine code of a kernel; null where there is none. Absent: costs are those of
   * the target's table.
   */
  measured?(call: MeasuredCall): number | null;
  /**
   * Runs the original model on the sample inputs and gives, for each value that carries the name of
   * an ONNX tensor, its float32 values, one array per sample. Values that cannot be observed are absent.
   */
  observe(values: readonly Value[]): Promise<ReadonlyMap<Value, readonly Float32Array[]>>;
}

export interface Pass {
  /** Equals the file's name. */
  readonly name: string;
  readonly summary: string;
  readonly needs: readonly Fact[];
  readonly gives: readonly Fact[];
  run(module: Module, context: PassContext): Module | Promise<Module>;
}
