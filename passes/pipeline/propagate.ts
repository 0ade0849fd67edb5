/**
 * Gives every operation the layout of its results, in module order: the one in which most operands are
 * read block by block. Where nothing blocked flows in, the products that a transformer is made of (linears,
 * embeddings, attention) start a stream over the batch and tokens of their input; everything else runs at once.
 */

import type { Select } from "../../src/artifact/schedule.ts";
import type { Access } from "../../src/ir/access.ts";
import { intAttr } from "../../src/ir/attrs.ts";
import { inlineConstants } from "../../src/ir/constants.ts";
import type { OpDef } from "../../src/ir/define.ts";
import type { Module, Op, Value } from "../../src/ir/op.ts";
import { usersOf } from "../../src/ir/rewrite.ts";
import type { Dim } from "../../src/tensor/tensor.ts";
import {
  candidates,
  closeness,
  isWholeLayout,
  type Layout,
  layoutOf,
  readsOf,
  type Space,
  wholeLayout,
} from "./layout.ts";

/** An operation with its layout; `reads` has one selection per operand, null for an absent one. */
export interface Placed {
  readonly op: Op;
  readonly layout: Layout;
  readonly reads: readonly (readonly Select[] | null)[];
}

export interface Layouts {
  readonly values: ReadonlyMap<Value, Layout>;
  readonly ops: readonly Placed[];
}

type Defs = ReadonlyMap<string, OpDef>;

/** Which operand starts a stream, and its batch and token axes (negative from the end). */
const STREAMS: Readonly<Record<string, { operand: number; batch: number; token: number }>> = {
  "aimc.mvm": { operand: 0, batch: 0, token: -2 },
  "nn.linear": { operand: 0, batch: 0, token: -2 },
  "nn.embedding": { operand: 1, batch: 0, token: -1 },
  "nn.attention": { operand: 0, batch: 0, token: 2 },
};

/** Kernels that look at where an element lies: on a block they would count from the block's start. */
const POSITIONAL: ReadonlySet<string> = new Set([
  "onnx.CumSum",
  "onnx.EyeLike",
  "onnx.Tile",
  "onnx.Trilu",
  "onnx.com.microsoft.EmbedLayerNormalization",
]);

/** ONNX's attention counts queries from the first for its mask, and its caches hold all of the tokens. */
const isPositional = (op: Op): boolean =>
  POSITIONAL.has(op.kind) ||
  (op.kind.endsWith("Attention") &&
    (op.results.length > 1 ||
      intAttr(op, "is_causal", 0) !== 0 ||
      intAttr(op, "unidirectional", 0) !== 0));

export const isConstant = (op: Op): boolean => op.kind === "onnx.Constant";

export function propagate(module: Module, defs: Defs): Layouts {
  const values = new Map<Value, Layout>();
  const spaces = spacesOf(module);
  const users = usersOf(module);
  const constants = inlineConstants(module);
  const accessOf = (op: Op): Access | null =>
    isBlockable(op) ? (defs.get(op.kind)?.access?.(op, constants) ?? null) : null;
  for (const { value } of module.inputs) {
    values.set(value, inputLayout(value, users.get(value) ?? [], spaces));
  }
  const ops: Placed[] = [];
  for (const op of module.ops) {
    if (isConstant(op)) continue;
    const access = accessOf(op);
    const placed = (access && bestLayout(op, access, values, spaces)) ?? atOnce(op);
    ops.push(placed);
    for (const r of op.results) {
      const rank = r.type.shape.length;
      values.set(r, isWholeLayout(placed.layout) ? wholeLayout(rank) : placed.layout);
    }
  }
  return { values, ops };
}

/** The layout that an operand which starts a stream has by itself. */
function streamLayout(op: Op): { readonly operand: number; readonly layout: Layout } | null {
  const stream = STREAMS[op.kind];
  const shape = stream && op.operands[stream.operand]?.type.shape;
  if (!stream || !shape || shape.includes(null)) return null;
  const rank = shape.length;
  const token = stream.token < 0 ? rank + stream.token : stream.token;
  if (token < 0) return null;
  const tokens = shape[token] ?? 1;
  const batch = token > stream.batch ? (shape[stream.batch] ?? 1) : 1;
  // What has no elements is no stream: it comes into being at once.
  if (batch * tokens === 0) return null;
  const axes: Record<number, Select> = { [token]: "token" };
  if (token > stream.batch) axes[stream.batch] = "batch";
  return { operand: stream.operand, layout: layoutOf({ batch, tokens }, rank, axes) };
}

/** Every space of the model. Rows [B*S, …] of a known space are no space of their own. */
function spacesOf(module: Module): readonly Space[] {
  const found = new Map<string, Space>();
  for (const op of module.ops) {
    const space = streamLayout(op)?.layout.space;
    if (space && space.batch * space.tokens > 1) {
      found.set(`${space.batch},${space.tokens}`, space);
    }
  }
  const all = [...found.values()];
  const isRows = (s: Space): boolean =>
    s.batch === 1 && all.some((o) => o.batch > 1 && o.batch * o.tokens === s.tokens);
  const real = all.filter((s) => !isRows(s));
  const pooled = real.flatMap((s) =>
    s.batch > 1 && s.tokens > 1 ? [{ batch: s.batch, tokens: 1 }] : [],
  );
  return [...real, ...pooled];
}

/** A graph input arrives block by block when an operation that starts a stream, or a rank-3 one, reads it. */
function inputLayout(value: Value, users: readonly Op[], spaces: readonly Space[]): Layout {
  const { shape } = value.type;
  if (shape.includes(null)) return wholeLayout(shape.length);
  for (const op of users) {
    const stream = streamLayout(op);
    if (stream && op.operands[stream.operand] === value) return stream.layout;
  }
  const [batch, tokens] = shape;
  const space = spaces.find((s) => s.batch === batch && s.tokens === tokens);
  return shape.length === 3 && space
    ? layoutOf(space, 3, { 0: "batch", 1: "token" })
    : wholeLayout(shape.length);
}

const atOnce = (op: Op): Placed => ({ op, layout: wholeLayout(0), reads: wholeReads(op) });

const wholeReads = (op: Op): Placed["reads"] =>
  op.operands.map((v) => (v ? v.type.shape.map(() => "all" as const) : null));

const isBlockable = (op: Op): boolean =>
  !isPositional(op) &&
  [...op.operands, ...op.results].every((v) => v === null || !v.type.shape.includes(null));

interface Choice {
  readonly placed: Placed;
  /** How well each operand is followed. */
  readonly fits: readonly number[];
}

function bestLayout(
  op: Op,
  access: Access,
  values: ReadonlyMap<Value, Layout>,
  spaces: readonly Space[],
): Placed | null {
  const shape = op.results[0]?.type.shape ?? [];
  const choices = spaces
    .flatMap((space) => candidates(space, shape))
    .filter((layout) => allResults(op, layout) && allPartials(op, layout))
    .flatMap((layout) => choose(op, access, layout, shape, values) ?? []);
  const best = choices.reduce<Choice | null>(better, null);
  if (best && sum(best.fits) > 0) return best.placed;
  const seed = streamLayout(op);
  if (!seed) return null;
  const started = choices.find(
    ({ placed }) =>
      sameSpace(placed.layout.space, seed.layout.space) &&
      String(placed.reads[seed.operand]) === String(seed.layout.select),
  );
  return started?.placed ?? null;
}

const sameSpace = (a: Space, b: Space): boolean => a.batch === b.batch && a.tokens === b.tokens;

const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);

/** The larger sum; of equals the one that follows an earlier operand better. */
function better(best: Choice | null, next: Choice): Choice {
  if (best === null) return next;
  const ahead = sum(next.fits) - sum(best.fits);
  if (ahead !== 0) return ahead > 0 ? next : best;
  const differs = next.fits.findIndex((f, i) => f !== best.fits[i]);
  return (next.fits[differs] ?? 0) > (best.fits[differs] ?? 0) ? next : best;
}

/** Access speaks of result 0; the others must be laid out alike along the axes that matter. */
function allResults(op: Op, { select }: Layout): boolean {
  const first = op.results[0]?.type.shape ?? [];
  return op.results.every(
    ({ type }) =>
      type.shape.length === first.length &&
      select.every((s, i) => s === "all" || type.shape[i] === first[i]),
  );
}

/** Tiles give the sums of all row blocks at once: that axis of the result is never cut. */
function allPartials(op: Op, { select }: Layout): boolean {
  const rank = op.operands[0]?.type.shape.length ?? 0;
  return op.kind !== "aimc.mvm" || select.length === rank || select[0] === "all";
}

function choose(
  op: Op,
  access: Access,
  layout: Layout,
  shape: readonly Dim[],
  values: ReadonlyMap<Value, Layout>,
): Choice | null {
  const reads: (readonly Select[] | null)[] = [];
  const fits: number[] = [];
  for (const [i, v] of op.operands.entries()) {
    const axes = access[i];
    const select = v && axes ? readsOf(axes, layout, shape) : null;
    if (v && (select === null || select.length !== v.type.shape.length)) return null;
    const written = v && values.get(v);
    const followed = written && select ? closeness(written, layout.space, select) : 0;
    if (followed === null) return null;
    reads.push(select);
    fits.push(followed);
  }
  const computed = reads.filter((_, i) => values.has(op.operands[i] as Value));
  return isFollowed(layout, computed) ? { placed: { op, layout, reads }, fits } : null;
}

const movesOf = (select: readonly Select[]): readonly string[] =>
  select.flatMap((s) => {
    if (s === "all") return [];
    return s === "row" ? ["batch", "token"] : [typeof s === "string" ? s : "token"];
  });

/**
 * Whether what moves in the result moves in an operand that was computed. Where it moves in a constant alone, like the
 * scale of a norm or the filters of a convolution in groups, a kernel would give more than the block, or another.
 */
function isFollowed({ select }: Layout, reads: Placed["reads"]): boolean {
  const moving = new Set(reads.flatMap((r) => movesOf(r ?? [])));
  return movesOf(select).every((m) => moving.has(m));
}
