/**
 * Elements of any type in vector registers, sixteen at a time: in groups of four registers of words, to which narrower
 * elements are extended; of 64 bits in two such groups. Truths are masks on the way.
 */

import { bytesPer, type Elem } from "../tensor/tensor.ts";
import type { Unit } from "./copy.ts";
import { walkersOf } from "./elements.ts";
import type { PhaseAssembler } from "./kernel.ts";
import { type V, V0, type X, ZERO } from "./register.ts";
import { given, wanted } from "./request.ts";
import { isSigned, isWide, loadOf } from "./scalars.ts";
import { type Group, vectorLoop, vtypeOf } from "./vector-loop.ts";
import { eachRun, type Run } from "./walk.ts";

const WORD = 4;
const GROUP = 4;
/** Where the upper word of 64 bits is. */
const UPPER = 4;

/** A group of as many elements of so many bytes as one of words has. */
const groupOf = (bytes: Unit): Group => bytes as Group;

interface Place {
  readonly at: X;
  /** Bytes from one element to the next. */
  readonly step: number;
  /** The step in a register, where elements lie apart. */
  readonly stride: X | null;
}

/** What a body does with the elements of a run that are at hand; widths of elements have been set to words. */
export class VectorElements {
  readonly k: PhaseAssembler;
  private readonly places: readonly Place[];
  private readonly elems: readonly Elem[];
  /** Words of operands that are the same in all of a run: of 64 bits the lower ones first. */
  private readonly fixed: readonly (readonly V[] | null)[];

  constructor(k: PhaseAssembler, elems: readonly Elem[], { at, steps }: Run) {
    this.k = k;
    this.elems = elems;
    this.places = at.map((p, i) => {
      const step = steps[i] ?? 0;
      const isApart = step !== 0 && step !== bytesPer(elems[i] as Elem);
      return { at: p, step, stride: isApart ? k.li(step) : null };
    });
    k.emit("vsetvli", k.newX(), k.li(-1), vtypeOf(WORD, GROUP));
    this.fixed = this.places.slice(0, -1).map(({ at: from, step }, i) => {
      const elem = elems[i] as Elem;
      if (step !== 0) return null;
      const load = isWide(elem) ? "lw" : loadOf(elem);
      const offsets = isWide(elem) ? [0, UPPER] : [0];
      return offsets.map((o) => k.v(GROUP, "vmv.v.x", k.x(load, o, from)));
    });
  }

  /** An operand's elements of up to 32 bits, extended as their type says; floats are their bits. */
  words(operand: number): V {
    const { k } = this;
    const [same] = this.fixed[operand] ?? [];
    if (same) return same;
    const elem = this.elems[operand] as Elem;
    const bytes = bytesPer(elem);
    const loaded = this.load(GROUP, bytes * 8, this.places[operand] as Place);
    return bytes === WORD
      ? loaded
      : k.v(GROUP, `v${isSigned(elem) ? "s" : "z"}ext.vf${WORD / bytes}`, loaded);
  }

  /** The lower and upper words of elements of 64 bits. */
  pair(operand: number): readonly [V, V] {
    const [low, high] = this.fixed[operand] ?? [];
    if (low && high) return [low, high];
    const place = this.places[operand] as Place;
    const stride = place.stride ?? this.k.li(place.step);
    const upper = this.k.add(place.at, UPPER);
    return [
      this.load(GROUP, 32, { ...place, stride }),
      this.load(GROUP, 32, { ...place, at: upper, stride }),
    ];
  }

  private load(group: number, bits: number, { at, stride }: Place): V {
    if (stride) return this.k.v(group, `vlse${bits}.v`, at, stride);
    return this.k.v(group, `vle${bits}.v`, at);
  }

  /** Results are the low bits of words. Nothing may follow. */
  store(value: V): void {
    const { k } = this;
    const { at } = this.places.at(-1) as Place;
    const bytes = bytesPer(this.elems.at(-1) as Elem) as Unit;
    let narrowed = value;
    for (let half = 2; half >= bytes; half /= 2) {
      k.emit("vsetvli", ZERO, ZERO, vtypeOf(half as Unit, groupOf(half as Unit)));
      narrowed = k.v(groupOf(half as Unit), "vnsrl.wi", narrowed, 0);
    }
    k.emit(`vse${bytes * 8}.v`, narrowed, at);
  }

  storePair(low: V, high: V): void {
    const { k } = this;
    const { at, step, stride } = this.places.at(-1) as Place;
    const by = stride ?? k.li(step === 0 ? 2 * WORD : step);
    k.emit("vsse32.v", low, at, by);
    k.emit("vsse32.v", high, k.add(at, UPPER), by);
  }

  /** Results are the truths of the mask in v0. Nothing may follow. */
  storeMask(): void {
    const { k } = this;
    const { at } = this.places.at(-1) as Place;
    k.emit("vsetvli", ZERO, ZERO, vtypeOf(1, 1));
    k.emit("vse8.v", k.v(1, "vmerge.vim", k.v(1, "vmv.v.i", 0), 1), at);
  }

  /** v0 = the elements of an operand that are not 0. */
  maskOf(operand: number): void {
    this.k.to(V0, "vmsne.vi", this.words(operand), 0);
  }
}

/** `body` for all elements of the result; the first operands are repeated over it. */
export function eachVector(
  k: PhaseAssembler,
  operands: number,
  body: (elements: VectorElements) => void,
): void {
  const blocks = [
    ...Array.from({ length: operands }, (_, i) => given(k.request, i)),
    wanted(k.request),
  ];
  const elems = blocks.map(({ elem }) => elem);
  eachRun(k, wanted(k.request).shape, walkersOf(k, operands), (run) => {
    const elements = new VectorElements(k, elems, run);
    vectorLoop(k, run.count, WORD, GROUP, (vl) => {
      body(elements);
      advance(k, run, vl);
    });
  });
}

/** Moves on by so many elements. */
function advance(k: PhaseAssembler, { at, steps }: Run, count: X): void {
  for (const step of new Set(steps)) {
    if (step === 0) continue;
    const by = k.mul(count, step);
    for (const [i, p] of at.entries()) if (steps[i] === step) k.addTo(p, p, by);
  }
}

/** Types that vectors hold as words: integers that fill their bytes, truths, and floats of 32 bits. */
export const isVectorWord = (elem: Elem): boolean =>
  ["f32", "i32", "ui32", "i16", "ui16", "i8", "ui8", "i1"].includes(elem);
