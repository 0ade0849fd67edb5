/**
 * Vectors through the tiles of a weight, by core 0. While one is converted the next is queued: two may be on their way.
 */

import { bytesPer, type Elem } from "../../tensor/tensor.ts";
import type { Assembler } from "../assembler.ts";
import { type X, ZERO } from "../register.ts";
import type { Read } from "./parts.ts";
import { type At, rangesOf } from "./ranges.ts";
import type { Launch, Operand, StepPlan } from "./step-plan.ts";
import { type Store, shapeAt } from "./store.ts";
import { type Shape, shapeOf } from "./transfer.ts";
import { Calc, type Value } from "./value.ts";

const WORD = 4;
/** The number of a vector in its block, and in the whole value. */
export const LISTED_BYTES = 8;

/** Numbers of an operand's vectors in the whole value, as bytes of a part are: the same however it is cut in blocks. */
function vectorNumbers(
  c: Calc,
  store: Store,
  read: Read,
  at: At,
): { readonly count: Value; readonly numbers: Shape } {
  const shape = store.shape.slice(0, -1);
  const ranges = rangesOf(c, read.select.slice(0, -1), read.domain, shape, at);
  const whole = store.kind === "constant";
  const axes = ranges.map(({ lo, size }, i) => {
    const extent = whole ? size : (shape[i] ?? 1);
    return { count: size, from: whole ? 0 : lo, extent, to: 0, size };
  });
  return { count: c.product(ranges.map((r) => r.size)), numbers: shapeOf(c, axes, 1) };
}

/** Addresses that a launch works with: of its operands and its result, and of its list. */
export interface Addresses {
  readonly x: X;
  readonly routing: X;
  readonly y: X;
  readonly list: number;
}

/** Code that runs all vectors of an iteration. */
export function emitLaunch(c: Calc, plan: StepPlan, launch: Launch, at: At, to: Addresses): void {
  const [x, routing] = plan.operands;
  const [y] = plan.results;
  if (!x || !y) throw new Error(`${plan.step.id} has no input or no result`);
  const { count, numbers } = vectorNumbers(c, x.store, x.read, at);
  const bytes = {
    x: launch.rows * bytesPer(x.store.elem),
    y: launch.cols * bytesPer(y.store.elem),
  };
  const { k } = c;
  const pipe: Pipe = {
    c,
    place: k.li(plan.place),
    groups: launch.groups,
    between: c.mul(count, bytes.y),
    bytes,
  };
  if (launch.list === null) {
    pump(c, count, consecutive(pipe, to, numbers.from));
    return;
  }
  const gate = routing && launch.expert !== null ? gateOf(c, routing, to, launch.expert) : null;
  const chosen = listed(pipe, numbers, to, gate);
  pump(c, chosen, fromList(pipe, to));
}

interface Pipe {
  readonly c: Calc;
  readonly place: X;
  readonly groups: number;
  /** Bytes from the results of one group of tiles to those of the next. */
  readonly between: Value;
  readonly bytes: { readonly x: number; readonly y: number };
}

/** Makes code for the next vector, once to queue and once to take its results. */
interface Vectors {
  queue(): void;
  dequeue(): void;
}

function pump(c: Calc, count: Value, vectors: Vectors): void {
  const { k } = c;
  const all = (): void => {
    vectors.queue();
    k.repeat(c.sub(count, 1), () => {
      vectors.queue();
      vectors.dequeue();
    });
    vectors.dequeue();
  };
  if (typeof count !== "number") k.when("ne", count, ZERO, all);
  else if (count > 0) all();
}

function send({ c: { k }, place }: Pipe, x: X, number: X): void {
  k.emit("aimc.queue", ZERO, place, x);
  k.emit("aimc.process", ZERO, place, number);
}

function take({ c: { k }, place, groups, between }: Pipe, y: X): void {
  if (groups === 1) {
    k.emit("aimc.dequeue", ZERO, place, y);
    return;
  }
  const part = k.copy(y);
  k.repeat(groups, () => {
    k.emit("aimc.dequeue", ZERO, place, part);
    k.addTo(part, part, between);
  });
}

function consecutive(pipe: Pipe, to: Addresses, first: Value): Vectors {
  const { c, bytes } = pipe;
  const { k } = c;
  const [x, y] = [k.copy(to.x), k.copy(to.y)];
  const number = k.copy(c.register(first));
  return {
    queue: () => {
      send(pipe, x, number);
      k.addTo(x, x, bytes.x);
      k.addTo(number, number, 1);
    },
    dequeue: () => {
      take(pipe, y);
      k.addTo(y, y, bytes.y);
    },
  };
}

function fromList(pipe: Pipe, to: Addresses): Vectors {
  const { c, bytes } = pipe;
  const { k } = c;
  const [head, tail] = [k.li(to.list), k.li(to.list)];
  return {
    queue: () => {
      const row = k.x("lw", 0, head);
      send(pipe, k.add(to.x, k.mul(row, bytes.x)), k.x("lw", WORD, head));
      k.addTo(head, head, LISTED_BYTES);
    },
    dequeue: () => {
      take(pipe, k.add(to.y, k.mul(k.x("lw", 0, tail), bytes.y)));
      k.addTo(tail, tail, LISTED_BYTES);
    },
  };
}

/** What an expert weighs in the results of the vectors, one after the other. */
interface Gate {
  readonly weight: X;
  /** Bytes from one vector to the next. */
  readonly step: number;
  readonly elem: Elem;
}

function gateOf({ k }: Calc, { read, store }: Operand, to: Addresses, expert: number): Gate {
  const { elem } = store;
  const bytes = bytesPer(elem);
  const experts = shapeAt(read, 0).at(-1) ?? 1;
  return { weight: k.add(to.routing, expert * bytes), step: experts * bytes, elem };
}

/** A register that is not 0 where the weight is not 0. */
function isUsed(k: Assembler, { weight, elem }: Gate): X {
  // All bits of a half but its sign.
  if (bytesPer(elem) === 2) return k.x("slli", k.x("lhu", 0, weight), 17);
  return k.x("xori", k.x("feq.s", k.f("flw", 0, weight), k.f("fmv.w.x", ZERO)), 1);
}

/**
 * Lists the vectors that go through the tiles, and how many there are. What is not routed to the expert (a weight of 0)
 * gets a result of zeros.
 */
function listed(pipe: Pipe, { from, run, repeats }: Shape, to: Addresses, gate: Gate | null): X {
  const { c } = pipe;
  const { k } = c;
  const row = k.li(0);
  const end = k.li(to.list);
  const y = k.copy(to.y);
  const note = (number: X): void => {
    k.emit("sw", row, 0, end);
    k.emit("sw", number, WORD, end);
    k.addTo(end, end, LISTED_BYTES);
  };
  const one = (number: X): void => {
    if (gate) {
      k.when(
        "ne",
        isUsed(k, gate),
        ZERO,
        () => note(number),
        () => clear(pipe, y),
      );
      k.addTo(gate.weight, gate.weight, gate.step);
    } else note(number);
    k.addTo(row, row, 1);
    k.addTo(y, y, pipe.bytes.y);
  };
  nest(c, repeats, c.register(from), (first) => {
    const number = k.copy(first);
    k.repeat(run, () => {
      one(number);
      k.addTo(number, number, 1);
    });
  });
  return k.x("srli", k.sub(end, k.li(to.list)), Math.log2(LISTED_BYTES));
}

/** `body` for every repetition, with the number that it begins at. */
function nest(c: Calc, repeats: Shape["repeats"], first: X, body: (first: X) => void): void {
  const [outer] = repeats.slice(-1);
  if (!outer) {
    body(first);
    return;
  }
  const { k } = c;
  const at = k.copy(first);
  k.repeat(outer.count, () => {
    nest(c, repeats.slice(0, -1), at, body);
    k.addTo(at, at, outer.source);
  });
}

/** Zeros for one vector's results in every group. */
function clear({ c: { k }, groups, between, bytes }: Pipe, y: X): void {
  const [store, width] = bytes.y % WORD === 0 ? (["sw", WORD] as const) : (["sb", 1] as const);
  const part = k.copy(y);
  k.repeat(groups, () => {
    const p = k.copy(part);
    k.repeat(bytes.y / width, () => {
      k.emit(store, ZERO, 0, p);
      k.addTo(p, p, width);
    });
    k.addTo(part, part, between);
  });
}

/** Whether the vectors of every iteration have numbers that follow each other. */
export function followEachOther(k: Assembler, store: Store, read: Read): boolean {
  const { numbers } = vectorNumbers(new Calc(k), store, read, { b: k.newX(), t: k.newX() });
  return numbers.repeats.length === 0;
}
