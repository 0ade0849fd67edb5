/**
 * A product on the matrix engine, from operands that may lie anywhere. While the engine multiplies two tiles the cores
 * bring the next ones into the TCDM as halves, and take the sums of the tile before.
 *
 * Tiles follow each other along the summed axis first. The engine keeps sums in halves between its steps, so that
 * cutting that axis changes no bit.
 */

import type { PhaseAssembler } from "../kernel.ts";
import { type X, ZERO } from "../register.ts";
import { awaitJobs, finishedJobs, startJob } from "./job.ts";
import { pairBytes, type Sizes, tileOf } from "./tiling.ts";

const HALF = 2;

/** Where a tile begins in an operand, and its size. */
export interface Tile {
  readonly row: X;
  readonly column: X;
  readonly rows: X;
  readonly columns: X;
}

/** Registers of core 0: where W lies, and the last transfer that it has started, all of which it waits for. */
export interface Found {
  readonly w: X;
  readonly transfer: X;
}

export interface EngineProduct {
  /** The rows are at most so many; how many they are, only the run knows. */
  readonly sizes: Sizes;
  readonly rows: X;
  /** Two tiles of each operand and of the sums, in the TCDM. */
  readonly room: X;
  /** Brings a tile of X to an address, row by row without gaps; every core its share, or core 0 by a transfer. */
  x(tile: Tile, to: X, found: Found): void;
  /** The same of W, which may also lie elsewhere: core 0 says where. */
  w(tile: Tile, to: X, found: Found): void;
  /** Takes a tile of the sums; every core its share, or core 0 by a transfer. */
  take(tile: Tile, sums: X, found: Found): void;
}

/** Bytes that `room` has to have. */
export function roomBytes(sizes: Sizes): number {
  const { m, n, k } = tileOf(sizes);
  return pairBytes(m, n) + pairBytes(n, k) + pairBytes(m, k);
}

/** Where a job is on each axis. */
interface Place {
  readonly m: X;
  readonly n: X;
  readonly k: X;
}

/** Offset and size of one of two tiles. */
interface Pair {
  readonly at: number;
  readonly bytes: number;
}

class Pipeline implements Found {
  private readonly k: PhaseAssembler;
  private readonly product: EngineProduct;
  private readonly tile: Sizes;
  private readonly pairs: { readonly x: Pair; readonly w: Pair; readonly z: Pair };
  /** The job that runs, then the one that is brought. */
  private readonly here: Place;
  /** The last job of the tile whose sums are complete. */
  private readonly before: Place;
  /** 0 or 1: which of two tiles of the operands, and of the sums, is next. */
  private readonly side: X;
  private readonly sums: X;
  /** On core 0: where W lies, the transfer that brings it, and jobs that are finished. */
  readonly w: X;
  readonly transfer: X;
  private readonly jobs: X;

  constructor(k: PhaseAssembler, product: EngineProduct) {
    this.k = k;
    this.product = product;
    this.tile = tileOf(product.sizes);
    const { m, n, k: columns } = this.tile;
    let at = 0;
    const pair = (rows: number, width: number): Pair => {
      const bytes = pairBytes(rows, width);
      at += bytes;
      return { at: at - bytes, bytes: bytes / 2 };
    };
    this.pairs = { x: pair(m, n), w: pair(n, columns), z: pair(m, columns) };
    this.here = { m: k.li(0), n: k.li(0), k: k.li(0) };
    this.before = { ...this.here, m: k.li(0), k: k.li(0) };
    [this.side, this.sums] = [k.li(0), k.li(0)];
    [this.w, this.transfer, this.jobs] = [k.li(0), k.li(0), k.li(0)];
  }

  emit(): void {
    const { k, tile, product } = this;
    const { n, k: columns } = product.sizes;
    const rows = k.div(k.add(product.rows, tile.m - 1), tile.m);
    const more = k.add(k.mul(rows, Math.ceil(n / tile.n) * Math.ceil(columns / tile.k)), -1);
    const waits = k.li(0);
    this.onFirst(() => k.move(this.jobs, finishedJobs(k)));
    this.bring();
    this.arrived();
    const again = k.newLabel();
    k.label(again);
    this.step(more, waits);
    k.addTo(more, more, -1);
    k.back("ge", more, ZERO, again);
    this.meet();
    this.take();
    this.arrived();
    this.meet();
  }

  /** One job. `waits` is 1 where the sums of the tile before are complete and nobody has taken them. */
  private step(more: X, waits: X): void {
    const { k, here, before } = this;
    this.meet();
    this.onFirst(() => this.start());
    k.when("ne", waits, ZERO, () => this.take());
    k.set(waits, 0);
    k.move(before.m, here.m);
    k.move(before.k, here.k);
    this.advance();
    k.when("eq", here.n, ZERO, () => {
      k.to(this.sums, "xori", this.sums, 1);
      k.set(waits, 1);
    });
    k.to(this.side, "xori", this.side, 1);
    k.when("ne", more, ZERO, () => this.bring());
    this.arrived();
    this.onFirst(() => {
      k.addTo(this.jobs, this.jobs, 1);
      awaitJobs(k, this.jobs);
    });
  }

  private start(): void {
    const { k, here } = this;
    const { m, n, k: columns } = this.sizesAt(here);
    startJob(k, {
      x: this.address(this.pairs.x, this.side),
      w: this.w,
      z: this.address(this.pairs.z, this.sums),
      m,
      n,
      k: columns,
      goesOn: k.x("sltu", ZERO, here.n),
    });
  }

  private bring(): void {
    const { here, product } = this;
    const { m, n, k: columns } = this.sizesAt(here);
    const x = { row: here.m, column: here.n, rows: m, columns: n };
    product.x(x, this.address(this.pairs.x, this.side), this);
    const w = { row: here.n, column: here.k, rows: n, columns };
    product.w(w, this.address(this.pairs.w, this.side), this);
  }

  private take(): void {
    const { k, before } = this;
    const { m, k: columns } = this.sizesAt(before);
    const tile = { row: before.m, column: before.k, rows: m, columns };
    this.product.take(tile, this.address(this.pairs.z, k.x("xori", this.sums, 1)), this);
  }

  private address({ at, bytes }: Pair, side: X): X {
    const { k } = this;
    return k.add(k.add(this.product.room, at), k.mul(side, bytes));
  }

  private sizesAt({ m, n, k: column }: Place): { m: X; n: X; k: X } {
    const { k, tile, product } = this;
    const rest = (size: X | number, at: X, most: number): X => {
      if (typeof size === "number" && size <= most) return k.li(size);
      const end = typeof size === "number" ? k.li(size) : size;
      return k.min(k.sub(end, at), k.li(most));
    };
    return {
      m: rest(product.rows, m, tile.m),
      n: rest(product.sizes.n, n, tile.n),
      k: rest(product.sizes.k, column, tile.k),
    };
  }

  private advance(): void {
    const { k, tile, product, here } = this;
    k.addTo(here.n, here.n, tile.n);
    k.when("ge", here.n, k.li(product.sizes.n), () => {
      k.set(here.n, 0);
      k.addTo(here.m, here.m, tile.m);
      k.when("ge", here.m, product.rows, () => {
        k.set(here.m, 0);
        k.addTo(here.k, here.k, tile.k);
      });
    });
  }

  private arrived(): void {
    this.onFirst(() => this.k.emit("dma.wait", ZERO, this.transfer, ZERO));
  }

  private meet(): void {
    this.k.emit("barrier", ZERO, ZERO, ZERO);
  }

  private onFirst(body: () => void): void {
    this.k.when("eq", this.k.core, ZERO, body);
  }
}

export const engineProduct = (k: PhaseAssembler, product: EngineProduct): void =>
  new Pipeline(k, product).emit();

/**
 * Rows and columns of a tile that a core does: whole rows where tiles have as many as there are cores, else a part of
 * each. `body` gets the row, the first column and how many columns follow.
 */
export function eachPart(
  k: PhaseAssembler,
  tile: Tile,
  mostRows: number,
  body: (row: X, from: X, count: X) => void,
): void {
  if (mostRows >= k.request.cores) {
    const { from, end } = shared(k, tile.rows, 1);
    k.range(from, end, 1, (row) => body(row, k.li(0), tile.columns));
  } else {
    const { from, end } = shared(k, tile.columns, GRAIN);
    k.range(0, tile.rows, 1, (row) => body(row, from, k.sub(end, from)));
  }
}

const GRAIN = 8;

/** A core's share of a number of items that only the run knows. */
function shared(k: PhaseAssembler, total: X, grain: number): { readonly from: X; readonly end: X } {
  const { cores } = k.request;
  if (cores === 1) return { from: k.li(0), end: total };
  const each = k.mul(k.div(k.add(total, cores * grain - 1), cores * grain), grain);
  const from = k.min(k.mul(k.core, each), total);
  return { from, end: k.min(k.add(from, each), total) };
}

/** The address of an element of a matrix of halves or words. */
export function elementAt(
  k: PhaseAssembler,
  base: X,
  { row, column }: { readonly row: X; readonly column: X },
  width: number | X,
  bytes = HALF,
): X {
  return k.add(base, k.mul(k.add(k.mul(row, width), column), bytes));
}
