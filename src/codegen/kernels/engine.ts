/**
 * Linear layers and low-rank branches on the matrix engine: operations whose attribute `engine` says so. Their weights
 * are halves; x becomes halves on the cores, and so do sums become numbers again. The bits are those of src/tensor.
 */

import { MAIN_BASE } from "../../artifact/programs.ts";
import { fromNumbers, toNumbers } from "../../tensor/convert.ts";
import { sizeOf } from "../../tensor/tensor.ts";
import { narrowRow } from "../engine/narrow.ts";
import {
  eachPart,
  elementAt,
  engineProduct,
  type Found,
  roomBytes,
  type Tile,
} from "../engine/product.ts";
import { type Sizes, tileOf } from "../engine/tiling.ts";
import { narrow, widen } from "../half.ts";
import {
  type Block,
  type Generate,
  KernelGap,
  type KernelRequest,
  type PhaseAssembler,
} from "../kernel.ts";
import { DESCRIPTOR_WORDS } from "../program/transfer.ts";
import { type X, ZERO } from "../register.ts";
import { flagOf, given, number, wanted, word } from "../request.ts";
import { alongRow } from "../row.ts";

const [WORD, HALF] = [4, 2];
const DESCRIPTOR_BYTES = 64;
/** Rows of a branch whose narrow products are kept at a time. */
const LORA_ROWS = 128;

type Float = "f32" | "f16";

function floatsOf(block: Block): Float {
  if (block.elem === "f32" || block.elem === "f16") return block.elem;
  throw new KernelGap(`elements of type ${block.elem} on the matrix engine`);
}

const bytesOf = (elem: Float): number => (elem === "f32" ? WORD : HALF);

/** Whether an operation computes its products on the matrix engine. */
export const isOnEngine = (request: KernelRequest): boolean => word(request, "engine", "") !== "";

/** Both generators need all of their scratch memory in the TCDM. */
export const engineLinear: Generate = (request) => {
  const [x, weight] = [given(request, 0), given(request, 3)];
  const [bias, out] = [request.operands[1] ?? null, wanted(request)];
  const [n = 1, k = 1] = weight.shape;
  if (request.operands[2] || weight.elem !== "f16" || flagOf(request, "transposed")) {
    throw new KernelGap("a linear layer that the matrix engine does not compute");
  }
  if (bias) floatsOf(bias);
  const m = sizeOf(x.shape.slice(0, -1));
  const sizes = { m, n, k };
  const phase = (a: PhaseAssembler): void => {
    engineProduct(a, {
      sizes,
      rows: a.li(m),
      room: a.add(a.scratch(), DESCRIPTOR_BYTES),
      x: (tile, to, { transfer }) =>
        floats(a, floatsOf(x), a.operand(0), n, sizes, tile, to, transfer),
      w: (tile, to, found) => rowsOfW(a, a.operand(3), sizes, tile, to, found),
      take: (tile, sums, { transfer }) => {
        const from = { at: a.result(0), elem: floatsOf(out), width: k };
        const own = bias && { at: a.operand(1), elem: floatsOf(bias), width: 0 };
        taken(a, sizes, tile, sums, { to: from, added: own, scale: 1, transfer });
      },
    });
  };
  const empty = m * n * k === 0;
  if (empty) throw new KernelGap("an empty product on the matrix engine");
  return { phases: [phase], scratchBytes: DESCRIPTOR_BYTES + roomBytes(sizes), near: true };
};

/** y + scale · (x Aᵀ) Bᵀ; both products and what is between them are halves. */
export const engineLora: Generate = (request) => {
  const [x, y, a, b] = [0, 1, 2, 3].map((i) => given(request, i)) as [Block, Block, Block, Block];
  const out = wanted(request);
  const [rank = 1, inputs = 1] = a.shape;
  const outputs = b.shape[0] ?? 1;
  if (a.elem !== "f16" || b.elem !== "f16") throw new KernelGap("weights that are no halves");
  if (sizeOf(y.shape) !== sizeOf(out.shape)) throw new KernelGap("a branch beside fewer rows");
  const m = sizeOf(x.shape.slice(0, -1));
  if (m * rank * inputs * outputs === 0) throw new KernelGap("an empty product");
  const most = Math.min(m, LORA_ROWS);
  const [down, up] = [
    { m: most, n: inputs, k: rank },
    { m: most, n: rank, k: outputs },
  ];
  const lowBytes = Math.ceil((most * rank * HALF) / 16) * 16;
  const room = Math.max(roomBytes(down), roomBytes(up));
  const phase = (k: PhaseAssembler): void => {
    k.range(0, k.li(m), most, (first) => {
      const rows = m % most === 0 ? k.li(most) : k.min(k.sub(k.li(m), first), k.li(most));
      const low = (): X => k.add(k.scratch(), DESCRIPTOR_BYTES);
      const buffers = k.add(k.scratch(), DESCRIPTOR_BYTES + lowBytes);
      const at = (i: number, block: Block, width: number): X =>
        k.add(k.parameter(i), k.mul(first, width * bytesOf(floatsOf(block))));
      engineProduct(k, {
        sizes: down,
        rows,
        room: buffers,
        x: (tile, to, { transfer }) =>
          floats(k, floatsOf(x), at(0, x, inputs), inputs, down, tile, to, transfer),
        w: (tile, to, found) => turned(k, k.operand(2), down, tile, to, found),
        take: (tile, sums, { transfer }) =>
          taken(k, down, tile, sums, {
            to: { at: low(), elem: "f16", width: rank },
            added: null,
            scale: 1,
            transfer,
          }),
      });
      engineProduct(k, {
        sizes: up,
        rows,
        room: buffers,
        x: (tile, to, { transfer }) => floats(k, "f16", low(), rank, up, tile, to, transfer),
        w: (tile, to, found) => turned(k, k.operand(3), up, tile, to, found),
        take: (tile, sums, { transfer }) =>
          taken(k, up, tile, sums, {
            to: { at: at(4, out, outputs), elem: floatsOf(out), width: outputs },
            added: { at: at(1, y, outputs), elem: floatsOf(y), width: outputs },
            scale: number(request, "scale", 1),
            transfer,
          }),
      });
    });
  };
  return { phases: [phase], scratchBytes: DESCRIPTOR_BYTES + lowBytes + room, near: true };
};

/** A tile of numbers as halves. */
function floats(
  k: PhaseAssembler,
  elem: Float,
  base: X,
  width: number,
  sizes: Sizes,
  tile: Tile,
  to: X,
  transfer: X,
): void {
  const start = elementAt(k, base, tile, width, bytesOf(elem));
  if (elem === "f16") {
    k.when("eq", k.core, ZERO, () => {
      sent(k, { at: start, width: k.li(width) }, { at: to, width: tile.columns }, tile, transfer);
    });
    return;
  }
  eachPart(k, tile, tileOf(sizes).m, (row, first, count) => {
    const from = elementAt(k, start, { row, column: first }, width, WORD);
    narrowRow(k, count, from, elementAt(k, to, { row, column: first }, tile.columns));
  });
}

/** W as the file has it, [n, k]: by DMA, or where it lies if that is the TCDM and tiles have all columns. */
function rowsOfW(
  k: PhaseAssembler,
  base: X,
  sizes: Sizes,
  tile: Tile,
  to: X,
  { w, transfer }: Found,
): void {
  const whole = sizes.k <= tileOf(sizes).k;
  k.when("eq", k.core, ZERO, () => {
    const from = elementAt(k, base, tile, sizes.k);
    const bring = (): void => {
      sent(k, { at: from, width: k.li(sizes.k) }, { at: to, width: tile.columns }, tile, transfer);
      k.move(w, to);
    };
    if (!whole) bring();
    else k.when("geu", from, k.li(MAIN_BASE | 0), bring, () => k.move(w, from));
  });
}

interface Halves {
  readonly at: X;
  /** From one row to the next. */
  readonly width: X;
}

/** Sends as many rows and columns as a tile has; `transfer` becomes the number of the transfer. */
function sent(k: PhaseAssembler, from: Halves, to: Halves, tile: Tile, transfer: X): void {
  const descriptor = k.scratch();
  const here = k.li(-1);
  const strides = [from.width, to.width].map((width) => k.mul(width, HALF));
  const size = [k.mul(tile.columns, HALF), tile.rows, ...strides];
  const words = [here, from.at, here, to.at, ...size, k.li(1), ZERO, ZERO];
  if (words.length !== DESCRIPTOR_WORDS) throw new Error("a descriptor of another size");
  for (const [i, value] of words.entries()) k.emit("sw", value, i * WORD, descriptor);
  k.to(transfer, "dma.start", descriptor, ZERO);
}

/** The transpose of a matrix of halves, [k, n]. */
function turned(k: PhaseAssembler, base: X, sizes: Sizes, tile: Tile, to: X, { w }: Found): void {
  const start = elementAt(k, base, { row: tile.column, column: tile.row }, sizes.n);
  const mostColumns = tileOf(sizes).k;
  const stored = { row: ZERO, column: ZERO, rows: tile.columns, columns: tile.rows };
  const step = k.mul(tile.columns, HALF);
  eachPart(k, stored, Math.min(sizes.k, mostColumns), (row, first, count) => {
    const from = elementAt(k, start, { row, column: first }, sizes.n);
    const target = elementAt(k, to, { row: first, column: row }, tile.columns);
    k.repeat(count, () => {
      k.emit("sh", k.x("lhu", 0, from), 0, target);
      k.addTo(from, from, HALF);
      k.addTo(target, target, step);
    });
  });
  k.move(w, to);
}

/** A matrix, or one row for all rows where its width is 0. */
interface Matrix {
  readonly at: X;
  readonly elem: Float;
  readonly width: number;
}

/** The nearest half. */
const halfOf = (value: number): number => toNumbers(fromNumbers("f16", [], [value]))[0] ?? 0;

interface Taking {
  readonly to: Matrix;
  readonly added: Matrix | null;
  readonly scale: number;
  readonly transfer: X;
}

/** added + scale · sums, each step in the elements of the result, as src/tensor has it. */
function taken(
  k: PhaseAssembler,
  sizes: Sizes,
  tile: Tile,
  sums: X,
  { to, added, scale, transfer }: Taking,
): void {
  const start = (m: Matrix): X => elementAt(k, m.at, tile, m.width, bytesOf(m.elem));
  const [out, other] = [start(to), added && start(added)];
  if (to.elem === "f16" && !added && scale === 1) {
    k.when("eq", k.core, ZERO, () => {
      sent(
        k,
        { at: sums, width: tile.columns },
        { at: out, width: k.li(to.width) },
        tile,
        transfer,
      );
    });
    return;
  }
  const by = scale === 1 ? null : k.constant(to.elem === "f16" ? halfOf(scale) : scale);
  eachPart(k, tile, tileOf(sizes).m, (row, first, count) => {
    const place = { row, column: first };
    const moving = (m: Matrix, base: X) => ({
      at: elementAt(k, base, place, m.width, bytesOf(m.elem)),
      bytes: bytesOf(m.elem),
    });
    const from = { at: elementAt(k, sums, place, tile.columns), bytes: HALF };
    const target = moving(to, out);
    const more = added && other ? moving(added, other) : null;
    const pointers = [from, target, ...(more ? [more] : [])];
    alongRow(k, k.request.isa, { count, pointers }, (l) => {
      const isHalf = to.elem === "f16";
      const [short, wide] = [isHalf && by && narrow(l, "f16"), isHalf && by && widen(l, "f16")];
      return (part) => {
        let value = part.loadAs("f16", from.at);
        if (by) value = l.mul(value, by);
        if (short && wide) value = wide(short(value));
        if (added && more) value = l.add(part.loadAs(added.elem, more.at), value);
        part.storeAs(to.elem, value, target.at);
      };
    });
  });
}
