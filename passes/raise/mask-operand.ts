/** Masks of attention taken apart: what they say of who sees whom, and what is left to add. */

import type { Op, Value } from "../../src/ir/op.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import type { Dim, Elem } from "../../src/tensor/tensor.ts";
import { lowestOf } from "./bounds.ts";
import type { Graph } from "./graph.ts";
import type { Built } from "./heads.ts";
import { HIDDEN, pattern, type Visibility, visibleKeys } from "./masks.ts";
import type { Mask } from "./scores.ts";

/** Where masks go: scores [B, H, Sq, Sk] of one element type. */
export interface Target {
  readonly elem: Elem;
  readonly shape: readonly number[];
}

export interface Masks {
  readonly seen: Visibility;
  readonly mask: Built | null;
}

/**
 * So low that adding it to a score gives it back: a row of nothing else then weighs all keys alike,
 * filled or added. Float32 has 24 bits, so scores below 2^24 vanish beside 2^49.
 */
const ABSORBS = -(2 ** 49);

/** What hides a key in place of a number that hides it too, but that scores would still change. */
const LOWER = -(2 ** 100);

/** Which keys [Sq · Sk] a constant mask leaves visible; null when it is computed or says more than that. */
function visibleIn(graph: Graph, mask: Mask, target: Target): readonly boolean[] | null {
  const [queries = 0, keys = 0] = target.shape.slice(-2);
  if (mask.kind === "floor") return null;
  const constant =
    mask.kind === "add" ? graph.values(mask.value) : (mask.flags ?? graph.values(mask.condition));
  if (!constant) return null;
  const values = toNumbers(constant);
  const shows = showing(mask, values);
  return shows && visibleKeys(constant.shape, shows, queries, keys);
}

function showing(mask: Exclude<Mask, { kind: "floor" }>, values: readonly number[]) {
  if (mask.kind === "where") {
    return mask.fill > HIDDEN ? null : values.map((v) => (v !== 0) !== mask.inverted);
  }
  const added = values.map((v) => v * mask.factor);
  return added.every((v) => v === 0 || v <= HIDDEN) ? added.map((v) => v === 0) : null;
}

/** Masks that only say who sees whom, when together they are a pattern; and the others. */
function said(graph: Graph, masks: readonly Mask[], target: Target) {
  const [queries = 0, keys = 0] = target.shape.slice(-2);
  const flags = new Map(
    masks.flatMap((m) => {
      const visible = visibleIn(graph, m, target);
      return visible ? [[m, visible] as const] : [];
    }),
  );
  const together = [...flags.values()].reduce(
    (all, one) => all.map((v, i) => v && (one[i] ?? false)),
    new Array<boolean>(queries * keys).fill(true),
  );
  const whole = pattern(together, queries, keys);
  if (whole) return { seen: whole, kept: masks.filter((m) => !flags.has(m)) };
  const known = [...flags].find(([, visible]) => pattern(visible, queries, keys)?.causal);
  const seen = (known && pattern(known[1], queries, keys)) ?? { causal: false };
  return { seen, kept: masks.filter((m) => m !== known?.[0]) };
}

/** Whether a mask can hide keys: one of unknown numbers, or of very negative ones. */
function mayHide(graph: Graph, mask: Mask): boolean {
  if (mask.kind === "floor") return false;
  if (mask.kind === "where") return true;
  return lowestOf(graph, mask.value, mask.factor) <= HIDDEN;
}

/** Null when the masks cannot be added without changing a result. */
export function masksOf(
  graph: Graph,
  masks: readonly Mask[],
  target: Target,
  origin: readonly string[],
): Masks | null {
  const { seen, kept } = said(graph, masks, target);
  // A row that the others hide whole weighs all keys alike, and a causal mask would leave it fewer.
  const risky = seen.causal && kept.some((m) => mayHide(graph, m));
  const mask = new Sum(graph, target, origin).of(risky ? masks : kept);
  return mask && { seen: risky ? { causal: false } : seen, mask: mask.built };
}

/** Masks as one value to add, in their order. */
class Sum {
  private readonly graph: Graph;
  private readonly target: Target;
  private readonly origin: readonly string[];
  private readonly ops: Op[] = [];

  constructor(graph: Graph, target: Target, origin: readonly string[]) {
    this.graph = graph;
    this.target = target;
    this.origin = origin;
  }

  /** Null when one of them cannot be added; `built` is null when there is nothing to add. */
  of(masks: readonly Mask[]): { readonly built: Built | null } | null {
    let sum: Value | null = null;
    for (const mask of masks) {
      const why = this.fault(mask);
      if (why) return this.graph.refuse("attention", why, ...placeOf(mask));
      sum = this.after(sum, mask);
    }
    return { built: sum && { value: sum, ops: this.ops } };
  }

  /** Why a mask cannot be added without changing a result. */
  private fault(mask: Mask): string | undefined {
    const { elem } = this.target;
    if (mask.kind === "floor") {
      const isLow = mask.least <= ABSORBS;
      return isLow ? undefined : `no score stays below ${mask.least}, which hides nothing`;
    }
    if (!isKnown(mask.on)) return "the size of its mask depends on data";
    if (mask.kind === "add") {
      const other = mask.value.type.elem;
      return other === elem ? undefined : `its mask is of ${other}, its scores of ${elem}`;
    }
    const least = elem === "f32" || elem === "f64" ? HIDDEN : ABSORBS;
    if (mask.fill <= least) return undefined;
    return `its mask fills in ${mask.fill}, which hides nothing: at most ${least} does`;
  }

  private after(sum: Value | null, mask: Mask): Value | null {
    switch (mask.kind) {
      case "floor":
        // max(s + m, least) = s + max(m, least) as long as s vanishes beside `least`.
        return sum && this.op("Max", [sum, this.number(mask.least)]);
      case "add": {
        const lifted = this.lifted(mask.value, mask.on);
        const value = this.times(lifted, mask.factor);
        return sum ? this.op("Add", [sum, value]) : value;
      }
      case "where": {
        const hidden = this.number(mask.fill <= ABSORBS ? mask.fill : LOWER);
        const visible = sum ?? this.number(0);
        const branches = mask.inverted ? [hidden, visible] : [visible, hidden];
        return this.op("Where", [this.lifted(mask.condition, mask.on), ...branches]);
      }
    }
  }

  private times(v: Value, by: number): Value {
    if (by === 1) return v;
    return by === -1 ? this.op("Neg", [v]) : this.op("Mul", [v, this.number(by)]);
  }

  /** A mask that broadcasts to scores of the shape `on`, as one that broadcasts to the target's. */
  private lifted(v: Value, on: readonly Dim[]): Value {
    const { shape } = this.target;
    if (on.join() === shape.join()) return v;
    const own = [
      ...new Array(Math.max(0, on.length - v.type.shape.length)).fill(1),
      ...v.type.shape,
    ];
    const [lead, rows] = [own.slice(0, -2), own.slice(-2).map(Number)];
    if (on.slice(-2).join() !== shape.slice(-2).join()) {
      return this.reshaped(this.expanded(v, on.map(Number)), shape);
    }
    if (lead.every((d) => d === 1)) {
      return v.type.shape.length <= 4 ? v : this.reshaped(v, rows);
    }
    const all = on.slice(0, -2).map(Number);
    const whole = lead.join() === all.join() ? v : this.expanded(v, [...all, ...rows]);
    return this.reshaped(whole, [...shape.slice(0, 2), ...rows]);
  }

  private reshaped(v: Value, shape: readonly number[]): Value {
    return this.define("Reshape", [v, this.ints(shape)], { elem: v.type.elem, shape });
  }

  private expanded(v: Value, shape: readonly number[]): Value {
    return this.define("Expand", [v, this.ints(shape)], { elem: v.type.elem, shape });
  }

  private op(name: string, operands: readonly Value[]): Value {
    const shapes = operands.map((v) => v.type.shape);
    return this.define(name, operands, { elem: this.target.elem, shape: shapes.reduce(wider) });
  }

  private define(name: string, operands: readonly Value[], type: Value["type"]): Value {
    const value = this.graph.fresh("mask", type);
    const { origin } = this;
    this.ops.push({ kind: `onnx.${name}`, operands, results: [value], attrs: {}, origin });
    return value;
  }

  private number(n: number): Value {
    return this.constant("mask_value", fromNumbers(this.target.elem, [], [n]));
  }

  private ints(values: readonly number[]): Value {
    return this.constant("mask_shape", fromNumbers("i64", [values.length], values));
  }

  private constant(name: string, value: ReturnType<typeof fromNumbers>): Value {
    const result = this.graph.fresh(name, { elem: value.elem, shape: value.shape });
    const { origin } = this;
    this.ops.push({
      kind: "onnx.Constant",
      operands: [],
      results: [result],
      attrs: { value },
      origin,
    });
    return result;
  }
}

/** Where a mask is. */
const placeOf = (mask: Mask): readonly Value[] => {
  if (mask.kind === "floor") return [];
  return [mask.kind === "add" ? mask.value : mask.condition];
};

const isKnown = (shape: readonly Dim[]): boolean => shape.every((d) => d !== null);

function wider(a: readonly Dim[], b: readonly Dim[]): readonly Dim[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const [p, q] = [a[i - rank + a.length] ?? 1, b[i - rank + b.length] ?? 1];
    return p === 1 ? q : p;
  });
}
