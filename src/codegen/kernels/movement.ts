/** Elements that are moved as they are: other shapes, other orders, parts and repetitions. The same bits. */

import { bytesPer, type Elem, sizeOf } from "../../tensor/tensor.ts";
import { copyUnits, copyWalk, storeUnits, unitOf } from "../copy.ts";
import {
  type Generate,
  type GeneratorTable,
  KernelGap,
  type KernelRequest,
  type PhaseAssembler,
} from "../kernel.ts";
import { type X, ZERO } from "../register.ts";
import { axisOf, given, number, wanted, word } from "../request.ts";
import { broadcastStrides, byteStrides } from "../walk.ts";

/** All bytes of operand 0 as result 0. */
function copyAll(k: PhaseAssembler): void {
  const { elem, shape } = given(k.request, 0);
  const walker = (address: X) => ({ address, strides: [bytesPer(elem)] });
  copyWalk(k, [sizeOf(shape)], bytesPer(elem), walker(k.operand(0)), walker(k.result(0)));
}

const same: Generate = (request) => {
  const [x, y] = [given(request, 0), wanted(request)];
  if (sizeOf(x.shape) !== sizeOf(y.shape)) throw new KernelGap("a part of the result");
  return { phases: [copyAll] };
};

/** The mask of a Dropout outside of training keeps everything. */
const dropout: Generate = (request) => {
  const total = sizeOf(wanted(request).shape);
  const mask = (k: PhaseAssembler): void => {
    const { from, end } = k.share(total);
    const to = k.add(k.result(1), from);
    k.when("lt", from, end, () => storeUnits(k, k.li(1), to, 1, k.sub(end, from), 1));
  };
  const { phases } = same(request);
  return { phases: request.results.length > 1 ? [...phases, mask] : phases };
};

/** Operand 0 seen with these dims and strides of elements, written row by row. */
const gathered = (
  request: KernelRequest,
  dims: readonly number[],
  strides: readonly number[],
): ReturnType<Generate> => {
  const bytes = bytesPer(given(request, 0).elem);
  if (sizeOf(dims) !== sizeOf(wanted(request).shape)) throw new KernelGap("a part of the result");
  return {
    phases: [
      (k) => {
        const from = { address: k.operand(0), strides };
        copyWalk(k, dims, bytes, from, { address: k.result(0), strides: byteStrides(dims, bytes) });
      },
    ],
  };
};

/** `shape` is what the operand is seen as. */
function permuted(
  request: KernelRequest,
  shape: readonly number[],
  perm: readonly number[],
): ReturnType<Generate> {
  const own = byteStrides(shape, bytesPer(given(request, 0).elem));
  return gathered(
    request,
    perm.map((axis) => shape[axis] ?? 1),
    perm.map((axis) => own[axis] ?? 0),
  );
}

const transpose: Generate = (request) => {
  const { shape } = given(request, 0);
  const perm = request.attrs["perm"] as readonly number[] | undefined;
  return permuted(request, shape, perm ?? shape.map((_, i) => i).reverse());
};

const depthToSpace: Generate = (request) => {
  const [batch = 1, channels = 1, rows = 1, columns = 1] = given(request, 0).shape;
  const size = number(request, "blocksize", 1);
  const depth = channels / size ** 2;
  return word(request, "mode", "DCR") === "CRD"
    ? permuted(request, [batch, depth, size, size, rows, columns], [0, 1, 4, 2, 5, 3])
    : permuted(request, [batch, size, size, depth, rows, columns], [0, 3, 4, 1, 5, 2]);
};

const spaceToDepth: Generate = (request) => {
  const [batch = 1, channels = 1, rows = 1, columns = 1] = given(request, 0).shape;
  const size = number(request, "blocksize", 1);
  const apart = [batch, channels, rows / size, size, columns / size, size];
  return permuted(request, apart, [0, 3, 5, 1, 2, 4]);
};

const expand: Generate = (request) => {
  const [x, { shape }] = [given(request, 0), wanted(request)];
  return gathered(request, shape, broadcastStrides(x.shape, shape, bytesPer(x.elem)));
};

const tile: Generate = (request) => {
  const [x, y] = [given(request, 0), wanted(request)];
  const own = byteStrides(x.shape, bytesPer(x.elem));
  const times = x.shape.map((size, axis) => (size === 0 ? 0 : (y.shape[axis] ?? 1) / size));
  return gathered(
    request,
    x.shape.flatMap((size, axis) => [times[axis] ?? 1, size]),
    own.flatMap((step) => [0, step]),
  );
};

/** Where each part of an axis begins in the whole, in elements of the axis. */
function starts(sizes: readonly number[]): readonly number[] {
  let at = 0;
  return sizes.map((size) => {
    at += size;
    return at - size;
  });
}

const concat: Generate = (request) => {
  const y = wanted(request);
  const axis = axisOf(number(request, "axis", 0), y.shape.length);
  const parts = request.operands.flatMap((x, i) => (x ? [{ x, i }] : []));
  const sizes = parts.map(({ x }) => x.shape[axis] ?? 0);
  if (sizes.reduce((a, b) => a + b, 0) !== y.shape[axis])
    throw new KernelGap("a part of the result");
  const begins = starts(sizes);
  const bytes = bytesPer(y.elem);
  const strides = byteStrides(y.shape, bytes);
  const place = (k: PhaseAssembler): void => {
    for (const [n, { x, i }] of parts.entries()) {
      const offset = (begins[n] ?? 0) * (strides[axis] ?? 0);
      const from = { address: k.operand(i), strides: byteStrides(x.shape, bytes) };
      const to = { address: k.add(k.result(0), offset), strides };
      copyWalk(k, x.shape, bytes, from, to, unitOf(4, offset));
    }
  };
  return { phases: [place] };
};

const split: Generate = (request) => {
  const x = given(request, 0);
  const axis = axisOf(number(request, "axis", 0), x.shape.length);
  const begins = starts(request.results.map((r) => r.shape[axis] ?? 0));
  const bytes = bytesPer(x.elem);
  const strides = byteStrides(x.shape, bytes);
  const take = (k: PhaseAssembler): void => {
    for (const [i, { shape }] of request.results.entries()) {
      const offset = (begins[i] ?? 0) * (strides[axis] ?? 0);
      const from = { address: k.add(k.operand(0), offset), strides };
      const to = { address: k.result(i), strides: byteStrides(shape, bytes) };
      copyWalk(k, shape, bytes, from, to, unitOf(4, offset));
    }
  };
  return { phases: [take] };
};

/** Rows of matrices, each cut where the diagonal says: one side is copied, the other is 0. */
const trilu: Generate = (request) => {
  const { elem, shape } = given(request, 0);
  const diagonal = request.operands[1];
  const [by] = diagonal ? (diagonal.values ?? []) : [0];
  if (by === undefined) throw new KernelGap("a diagonal that only the run knows");
  const upper = number(request, "upper", 1) !== 0;
  return { phases: [(k) => cutRows(k, elem, shape, upper ? by : by + 1, upper)] };
};

function cutRows(
  k: PhaseAssembler,
  elem: Elem,
  shape: readonly number[],
  first: number,
  upper: boolean,
): void {
  const [rows = 1, columns = 1] = shape.slice(-2);
  if (sizeOf(shape) === 0) return;
  const unit = unitOf(4, bytesPer(elem));
  const [perElement, bytes] = [bytesPer(elem) / unit, columns * bytesPer(elem)];
  const { from, end } = k.share(sizeOf(shape) / columns);
  const [x, y] = [k.operand(0), k.result(0)];
  const [most, shift] = [k.li(columns), k.li(Math.max(-rows, Math.min(columns, first)))];
  k.range(from, end, 1, (row) => {
    const cut = k.min(k.add(k.rem(row, rows), shift), most);
    k.when("lt", cut, ZERO, () => k.move(cut, ZERO));
    const start = k.mul(row, bytes);
    const [source, target] = [k.add(x, start), k.add(y, start)];
    const side = (count: X, copied: boolean): void => {
      k.when("ne", count, ZERO, () => {
        const [a, b, units] = [k.copy(source), k.copy(target), k.mul(count, perElement)];
        if (copied) copyUnits(k, a, b, units, unit);
        else storeUnits(k, ZERO, b, unit, units, unit);
      });
    };
    side(cut, !upper);
    const behind = k.mul(cut, bytesPer(elem));
    for (const p of [source, target]) k.addTo(p, p, behind);
    side(k.sub(most, cut), upper);
  });
}

export const MOVEMENT: GeneratorTable = {
  Reshape: same,
  Flatten: same,
  Squeeze: same,
  Unsqueeze: same,
  Identity: same,
  BitCast: same,
  Dropout: dropout,
  Transpose: transpose,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Expand: expand,
  Tile: tile,
  Concat: concat,
  "nn.cache_append": concat,
  Split: split,
  Trilu: trilu,
};
