/** Parts of values as transfers of the cluster's DMA: rows of bytes, in rows, in planes, in loops. */

import type { X } from "../register.ts";
import { ZERO } from "../register.ts";
import type { PartAxis } from "./parts.ts";
import type { Calc, Value } from "./value.ts";

/** A memory: a cluster's number, or -1 for that of the cluster that runs the program. */
export interface Place {
  readonly cluster: number;
  readonly address: Value;
}

/** Equal pieces that lie so many bytes apart in the source and in the target. */
interface Repeat {
  count: Value;
  readonly source: Value;
  readonly target: Value;
}

/** How a part's elements lie: consecutive bytes, repeated along as few axes as there are. */
export interface Shape {
  /** Bytes from the beginning of the block, and of the region. */
  readonly from: Value;
  readonly to: Value;
  readonly run: Value;
  /** Innermost first; none where the part is consecutive. */
  readonly repeats: readonly Repeat[];
}

/** Axes that follow each other without a gap become one. */
export function shapeOf(c: Calc, axes: readonly PartAxis[], elemBytes: number): Shape {
  const groups: Repeat[] = [{ count: elemBytes, source: 1, target: 1 }];
  let [source, target]: [Value, Value] = [elemBytes, elemBytes];
  let [from, to]: [Value, Value] = [0, 0];
  // Whether the next axis goes on where the last group ends.
  let [sourceGoesOn, targetGoesOn] = [true, true];
  for (const axis of axes.toReversed()) {
    from = c.add(from, c.mul(axis.from, source));
    to = c.add(to, c.mul(axis.to, target));
    const group = groups.at(-1);
    if (axis.count === 1) {
      sourceGoesOn &&= axis.extent === 1;
      targetGoesOn &&= axis.size === 1;
    } else {
      if (group && sourceGoesOn && targetGoesOn) group.count = c.mul(group.count, axis.count);
      else groups.push({ count: axis.count, source, target });
      sourceGoesOn = axis.extent === axis.count;
      targetGoesOn = axis.size === axis.count;
    }
    const alike: boolean = source === target && axis.extent === axis.size;
    source = c.mul(source, axis.extent);
    target = alike ? source : c.mul(target, axis.size);
  }
  const [run, ...repeats] = groups;
  return { from, to, run: run?.count ?? 0, repeats };
}

/** Words of a descriptor: src/artifact/programs.ts says where they lie. */
const WORD = {
  sourceCluster: 0,
  source: 1,
  targetCluster: 2,
  target: 3,
  run: 4,
  rows: 5,
  sourceRow: 6,
  targetRow: 7,
  planes: 8,
  sourcePlane: 9,
  targetPlane: 10,
};
export const DESCRIPTOR_WORDS = 11;
const BYTES = 4;

export class Dma {
  private readonly c: Calc;
  private readonly descriptor: X;
  /** The number of the last transfer that was started. */
  private readonly last: X;
  private started = false;

  /** `descriptor` is the address of words that every transfer is described in. */
  constructor(c: Calc, descriptor: number) {
    this.c = c;
    this.descriptor = c.k.li(descriptor);
    this.last = c.k.li(0);
  }

  /** From a block and into a region, or the other way round, as the shape says. */
  copy(shape: Shape, source: Place, target: Place): void {
    const { c } = this;
    const [rows, planes, ...loops] = shape.repeats;
    if (shape.run === 0 || shape.repeats.some((r) => r.count === 0)) return;
    this.put(WORD.sourceCluster, source.cluster);
    this.put(WORD.targetCluster, target.cluster);
    this.put(WORD.run, shape.run);
    this.put(WORD.rows, rows?.count ?? 1);
    this.put(WORD.planes, planes?.count ?? 1);
    if (rows) {
      this.put(WORD.sourceRow, rows.source);
      this.put(WORD.targetRow, rows.target);
    }
    if (planes) {
      this.put(WORD.sourcePlane, planes.source);
      this.put(WORD.targetPlane, planes.target);
    }
    const [from, to] = [c.add(source.address, shape.from), c.add(target.address, shape.to)];
    this.loops(loops, from, to);
  }

  wait(): void {
    if (this.started) this.c.k.emit("dma.wait", ZERO, this.last, ZERO);
  }

  private loops(repeats: readonly Repeat[], source: Value, target: Value): void {
    const [outer] = repeats.slice(-1);
    const { k } = this.c;
    if (!outer) {
      this.put(WORD.source, source);
      this.put(WORD.target, target);
      k.to(this.last, "dma.start", this.descriptor, ZERO);
      this.started = true;
      return;
    }
    const [from, to] = [k.copy(this.c.register(source)), k.copy(this.c.register(target))];
    k.repeat(outer.count, () => {
      this.loops(repeats.slice(0, -1), from, to);
      k.addTo(from, from, outer.source);
      k.addTo(to, to, outer.target);
    });
  }

  private put(word: number, value: Value): void {
    this.c.k.emit("sw", this.c.register(value), word * BYTES, this.descriptor);
  }
}
