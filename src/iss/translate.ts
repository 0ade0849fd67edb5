/**
 * Translation of hot text to WebAssembly while a program runs. A region (translate-region.ts) becomes one function,
 * which takes the hart and what is left of the budget, gives what is left then, and writes the hart's pc. It does
 * what the interpreter would have done up to there, bit by bit; it is left before any instruction that would trap.
 */

import { compileModule, type Interpreter, instantiateModule, STATE } from "./interpreter.ts";
import { isCall, isRepetition } from "./predecode.ts";
import { Frame } from "./translate-frame.ts";
import { canTranslate, emitStep } from "./translate-instruction.ts";
import { condition } from "./translate-integer.ts";
import { type Configuration, HELPERS, type Machine, PARAMETERS } from "./translate-machine.ts";
import { accesses, spansOf } from "./translate-memory.ts";
import {
  type Block,
  cut,
  type End,
  type Fetch,
  readRegion,
  type Start,
  type Step,
  successors,
  type Target,
} from "./translate-region.ts";
import { loopOf, type Shape, shapeOf } from "./translate-shape.ts";
import { configurationOf } from "./translate-vector.ts";
import { moduleOf, TYPE } from "./wasm-emit.ts";

/** Where in a record the distance and the count of a branch are, and how much longer records are than text. */
const [IMMEDIATE, HEAT, RECORD_PER_BYTE] = [8, 12, 8];
/** Marks an entry in a record, as in translated.as.ts. */
const ENTRY = 0x80000000;
const WORD = 4;
const RETURN_ADDRESS = 1;

/** Translations by what they are made for. */
export type Modules = Map<string, object>;

/** How often a branch leads backwards before what is there is translated. */
export const HOT = 1000;

export class Translator {
  private readonly interpreter: Interpreter;
  private readonly machine: Machine;
  private readonly fetch: Fetch;
  /** Decodes an instruction's record where that has not been done. */
  private readonly prepare: (pc: number) => void;
  private readonly entries = new Map<string, number>();
  private readonly modules: Modules;

  /** `modules` may be shared by machines of the same text and timing. */
  constructor(
    interpreter: Interpreter,
    machine: Machine,
    fetch: Fetch,
    prepare: (pc: number) => void,
    modules: Modules = new Map(),
  ) {
    this.modules = modules;
    this.interpreter = interpreter;
    this.machine = machine;
    this.fetch = fetch;
    this.prepare = prepare;
  }

  /** Has the branch that a hart has stopped at, because it is hot, lead to a translation. */
  note(state: DataView): void {
    const record = state.getUint32(STATE.value, true);
    state.setUint32(STATE.value, 0, true);
    const records = new DataView(this.interpreter.call.memory.buffer);
    const by = records.getInt32(record + IMMEDIATE, true);
    const pc = this.machine.textBase + (record - this.machine.records) / RECORD_PER_BYTE;
    const streams = state.getUint32(STATE.ssr, true) !== 0;
    const repeats = isRepetition(records, record);
    const start = repeats
      ? { pc: pc + WORD, streams, body: pc + WORD + (by + 1) * WORD }
      : { pc: pc + by, streams, body: null };
    const entry = this.entry(start, repeats || isCall(records, record), state);
    if (entry !== null) records.setUint32(record + HEAT, entry, true);
  }

  /** The entry to what is at an address, or null where there is none; the state says what is expected of vectors. */
  private entry(start: Start, all: boolean, state: DataView): number | null {
    const [vtype, vl] = [STATE.vtype, STATE.vl].map((at) => state.getUint32(at, true));
    const configuration = configurationOf(vtype ?? 0, vl ?? 0);
    const { pc, streams, body } = start;
    const key = `${pc} ${streams} ${body} ${all} ${vtype} ${vl}`;
    const known = this.entries.get(key);
    if (known !== undefined) return known;
    const module = this.module(start, all, configuration, key);
    if (module === null) return null;
    const { table, call } = this.interpreter;
    const made = instantiateModule(module, { ...call, memory: call.memory }) as { run: unknown };
    const at = table.length;
    table.grow(1);
    table.set(at, made.run);
    this.entries.set(key, (ENTRY | at) >>> 0);
    return (ENTRY | at) >>> 0;
  }

  private module(
    start: Start,
    all: boolean,
    configuration: Configuration | null,
    name: string,
  ): object | null {
    const key = `${name} ${JSON.stringify(this.machine)}`;
    const known = this.modules.get(key);
    if (known) return known;
    const blocks = regionOf(this.fetch, start, all);
    if (blocks === null) return null;
    for (const step of blocks.flatMap((b) => b.steps)) this.prepare(step.pc);
    const made = compileModule(translation(blocks, this.machine, start, configuration));
    this.modules.set(key, made);
    return made;
  }

  /** Forgets all, because the text may have changed. */
  forget(): void {
    this.entries.clear();
    this.modules.clear();
  }
}

/** The blocks to translate: of what a call or a repetition leads to all, else the loop that begins at the start. */
function regionOf(fetch: Fetch, start: Start, whole: boolean): readonly Block[] | null {
  const can: Parameters<typeof readRegion>[0]["can"] = (i) => canTranslate(i) || accesses(i.name);
  const all = readRegion({ fetch, can }, start);
  const graph = all.map(successors);
  const latches = all.flatMap((block, i) => (isLatch(block, start.pc, graph[i] ?? []) ? [i] : []));
  if (!whole && latches.length === 0) return null;
  const loop = loopOf(graph, latches);
  let blocks = whole ? all : cut(all, (_, to) => !loop.has(to));
  for (;;) {
    const { wild } = shapeOf(blocks.map(successors));
    if (wild.length === 0) break;
    blocks = cut(blocks, (from, to) => wild.some(([a, b]) => a === from && b === to));
  }
  return blocks.some((b) => b.steps.length > 0) ? blocks : null;
}

/** Whether a block leads backwards to the first; one before it does so where a loop around its loop begins anew. */
const isLatch = (block: Block, pc: number, to: readonly number[]): boolean =>
  block.pc >= pc && to.includes(0);

/** The module of a region whose first block is the entry. */
function translation(
  blocks: readonly Block[],
  machine: Machine,
  { pc, streams }: Start,
  configuration: Configuration | null,
): Uint8Array {
  const shape = shapeOf(blocks.map(successors));
  const reached = blocks.filter((_, i) => (shape.place[i] ?? -1) >= 0);
  const frame = new Frame(machine, { pc, streams }, reached.flatMap(stepsOf), configuration);
  new Writer(frame, blocks, shape).block(0);
  frame.finish();
  return moduleOf({
    parameters: PARAMETERS,
    results: [TYPE.i32],
    imports: HELPERS,
    locals: frame.locals,
    body: frame.code,
  });
}

/** All instructions of a block, with the branch at its end. */
const stepsOf = ({ steps, end }: Block): readonly Step[] =>
  "by" in end ? [...steps, end.by] : steps;

/** Writes blocks so that each is within what dominates it (translate-shape.ts); no path runs out of a block's end. */
class Writer {
  private readonly frame: Frame;
  private readonly blocks: readonly Block[];
  private readonly shape: Shape;
  /** Where a branch to a block goes: to the start of a loop, or behind the end of a block of WebAssembly's. */
  private readonly places = new Map<number, number>();
  /** What is expected of vectors where a block ends. */
  private readonly configurations = new Map<number, Configuration | null>();

  constructor(frame: Frame, blocks: readonly Block[], shape: Shape) {
    this.frame = frame;
    this.blocks = blocks;
    this.shape = shape;
  }

  /** A block, and all that it dominates. */
  block(number: number): void {
    const { code } = this.frame;
    const { children, heads, merges, place } = this.shape;
    const behind = (children[number] ?? [])
      .filter((c) => merges.has(c))
      .sort((a, b) => (place[b] ?? 0) - (place[a] ?? 0));
    const loops = heads.has(number);
    if (loops) this.places.set(number, code.loop());
    for (const merge of behind) this.places.set(merge, code.block());
    this.body(number);
    for (const merge of behind.reverse()) {
      code.end();
      this.frame.configuration = this.configurations.get(number) ?? null;
      // What comes behind reaches itself only by a loop of its own.
      this.places.delete(merge);
      this.block(merge);
    }
    if (loops) code.end();
  }

  private body(number: number): void {
    const block = this.blocks[number];
    if (!block) throw new Error(`there is no block ${number}`);
    const { frame } = this;
    const all = stepsOf(block);
    const spans = spansOf(all);
    if (all.length > 0) frame.begin(block.pc, all);
    for (const step of block.steps) emitStep(frame, step, spans);
    this.configurations.set(number, frame.configuration);
    this.end(number, block.end);
  }

  private end(number: number, end: End): void {
    const { frame } = this;
    if (end.kind === "branch") {
      condition(frame, end.by);
      frame.code.if();
      const { takenBranch = 0 } = frame.machine.timing ?? {};
      if (takenBranch > 0) frame.budget.spend(takenBranch);
      this.go(number, end.taken);
      frame.code.end();
      this.go(number, end.other);
      return;
    }
    if (end.kind === "repeat") {
      frame.streams.repeats();
      this.go(number, end.taken);
      frame.code.end();
      this.go(number, end.other);
      return;
    }
    if (end.kind === "return") {
      frame.x(RETURN_ADDRESS).i32(end.expected).op("i32.ne");
      frame.leaveBefore(end.by);
    }
    this.go(number, end.to);
  }

  private go(from: number, to: Target): void {
    const { frame, shape, places } = this;
    if ("leave" in to) {
      frame.leave(to.leave);
      return;
    }
    const place = places.get(to.block);
    const back = (shape.place[to.block] ?? 0) <= (shape.place[from] ?? 0);
    if (back || shape.merges.has(to.block)) {
      if (place === undefined) throw new Error(`block ${to.block} has no place`);
      frame.code.br(place);
    } else {
      frame.configuration = this.configurations.get(from) ?? null;
      this.block(to.block);
    }
  }
}
