/**
 * Vectors through the tiles of a weight, by core 0. Two may be on their way: they are queued, and taken in a later turn,
 * when other steps of the cluster have had theirs.
 */

import { bytesPer, type Elem } from "../../tensor/tensor.ts";
import type { Assembler } from "../assembler.ts";
import { type X, ZERO } from "../register.ts";
import { FIXED, FLIGHT } from "./memory-map.ts";
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

/** Vectors that may be on their way. */
const MOST_QUEUED = 2;

/** Code that lets the first vectors of an iteration set out. Gives how many there are. */
export function emitStart(c: Calc, plan: StepPlan, launch: Launch, at: At, to: Addresses): X {
  const { k } = c;
  const pipe = pipeOf(c, plan, launch, at);
  const { count, numbers } = pipe;
  const { routing } = inputsOf(plan);
  const flight = k.li(FIXED.flight);
  const put = (value: X, word: number): void => k.emit("sw", value, word, flight);
  put(to.x, FLIGHT.x);
  put(to.y, FLIGHT.y);
  let total = c.register(count);
  if (launch.list === null) {
    put(to.x, FLIGHT.head);
    put(to.y, FLIGHT.tail);
    put(c.register(numbers.from), FLIGHT.number);
  } else {
    const expert = launch.expert;
    const gate = routing && expert !== null ? gateOf(c, routing, to, expert) : null;
    total = listed(pipe, numbers, to, gate);
    put(k.li(to.list), FLIGHT.head);
    put(k.li(to.list), FLIGHT.tail);
  }
  put(total, FLIGHT.toQueue);
  put(total, FLIGHT.toTake);
  const vectors = vectorsOf(pipe, launch, flight);
  k.repeat(MOST_QUEUED, () => queueNext(c, flight, vectors));
  return total;
}

/** Code that takes what is on its way and lets as many follow. Gives how many are left. */
export function emitTurn(c: Calc, plan: StepPlan, launch: Launch, at: At): X {
  const { k } = c;
  const flight = k.li(FIXED.flight);
  const vectors = vectorsOf(pipeOf(c, plan, launch, at), launch, flight);
  k.repeat(MOST_QUEUED, () => {
    counted(c, flight, FLIGHT.toTake, vectors.dequeue);
    queueNext(c, flight, vectors);
  });
  return k.x("lw", FLIGHT.toTake, flight);
}

function queueNext(c: Calc, flight: X, { queue }: Vectors): void {
  counted(c, flight, FLIGHT.toQueue, queue);
}

/** `body` where the count is not 0, which it then is one less. */
function counted({ k }: Calc, flight: X, word: number, body: () => void): void {
  const left = k.x("lw", word, flight);
  k.when("ne", left, ZERO, () => {
    body();
    k.emit("sw", k.add(left, -1), word, flight);
  });
}

function inputsOf({ operands }: StepPlan): Record<"x" | "routing", Operand | null> {
  return { x: operands[0] ?? null, routing: operands[1] ?? null };
}

function pipeOf(c: Calc, plan: StepPlan, launch: Launch, at: At): Pipe {
  const { x } = inputsOf(plan);
  const [y] = plan.results;
  if (!x || !y) throw new Error(`${plan.step.id} has no input or no result`);
  const { count, numbers } = vectorNumbers(c, x.store, x.read, at);
  const bytes = {
    x: launch.rows * bytesPer(x.store.elem),
    y: launch.cols * bytesPer(y.store.elem),
  };
  const between = c.mul(count, bytes.y);
  return { c, place: c.k.li(plan.place), groups: launch.groups, count, numbers, between, bytes };
}

interface Pipe {
  readonly c: Calc;
  readonly place: X;
  readonly groups: number;
  readonly count: Value;
  readonly numbers: Shape;
  /** Bytes from the results of one group of tiles to those of the next. */
  readonly between: Value;
  readonly bytes: { readonly x: number; readonly y: number };
}

/** Makes code for the next vector, once to queue and once to take its results. */
interface Vectors {
  queue(): void;
  dequeue(): void;
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

function vectorsOf(pipe: Pipe, { list }: Launch, flight: X): Vectors {
  return list === null ? consecutive(pipe, flight) : fromList(pipe, flight);
}

/** Moves a word on; gives what it was. */
function passed(k: Assembler, flight: X, word: number, by: number): X {
  const before = k.x("lw", word, flight);
  k.emit("sw", k.add(before, by), word, flight);
  return before;
}

function consecutive(pipe: Pipe, flight: X): Vectors {
  const { bytes } = pipe;
  const { k } = pipe.c;
  return {
    queue: () => {
      const x = passed(k, flight, FLIGHT.head, bytes.x);
      send(pipe, x, passed(k, flight, FLIGHT.number, 1));
    },
    dequeue: () => take(pipe, passed(k, flight, FLIGHT.tail, bytes.y)),
  };
}

function fromList(pipe: Pipe, flight: X): Vectors {
  const { bytes } = pipe;
  const { k } = pipe.c;
  const placed = (base: number, row: X, size: number): X =>
    k.add(k.x("lw", base, flight), k.mul(row, size));
  return {
    queue: () => {
      const head = passed(k, flight, FLIGHT.head, LISTED_BYTES);
      const x = placed(FLIGHT.x, k.x("lw", 0, head), bytes.x);
      send(pipe, x, k.x("lw", WORD, head));
    },
    dequeue: () => {
      const tail = passed(k, flight, FLIGHT.tail, LISTED_BYTES);
      take(pipe, placed(FLIGHT.y, k.x("lw", 0, tail), bytes.y));
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
