/**
 * What a kernel in machine code is made for, and how it is called.
 *
 * A kernel is a list of phases. All cores of a cluster run a phase, each its share; none begins the next before all
 * have finished this one. A phase is a function: a0 is the address of a list of words, the addresses of the operands, of
 * the results, then of the scratch memory, and the number that `growing` asks for; a1 is the number of the core. Absent
 * operands have the address 0. Values lie row-major, as src/tensor has them, from multiples of 4 on; `i1` is a byte. A
 * phase may change every register but zero, ra, sp, gp and tp.
 */

import { toNumbers } from "../tensor/convert.ts";
import { type Elem, sizeOf, type Tensor } from "../tensor/tensor.ts";
import { Assembler } from "./assembler.ts";
import type { Isa } from "./isa.ts";
import { A0, A1, type X } from "./register.ts";

/** Elements and shape of an operand or a result, all known. */
export interface Block {
  readonly elem: Elem;
  readonly shape: readonly number[];
  /**
   * The values of a small constant: code is made for these axes, starts or sizes, and right for no others. Left out
   * where they are many, or where only the run knows them.
   */
  readonly values?: readonly number[];
}

/** Constants of more elements are data, not arguments. */
const MOST_VALUES = 64;

/** Whether code may be made for the values of a constant. */
const isArgument = ({ shape }: Block): boolean => shape.length <= 1 && sizeOf(shape) <= MOST_VALUES;

/** The block of a constant: with its values where they are few; only then they are asked for. */
export function constantBlock({ elem, shape }: Block, load: () => Tensor): Block {
  if (!isArgument({ elem, shape })) return { elem, shape };
  const values = toNumbers(load());
  return values.every(Number.isFinite) ? { elem, shape, values } : { elem, shape };
}

export interface KernelRequest {
  /** As in schedule.json: `Softmax`, `nn.attention`. */
  readonly kernel: string;
  /** The attributes as plain values, as the kernels of src/tensor get them. */
  readonly attrs: Readonly<Record<string, unknown>>;
  /** With constants of attributes behind the operands, where the kernels of src/tensor expect them. */
  readonly operands: readonly (Block | null)[];
  readonly results: readonly Block[];
  readonly isa: Isa;
  /** Cores that share the work. */
  readonly cores: number;
  /**
   * Axes of operands of which only the first elements are there, as many as the list of addresses says behind that of the
   * scratch memory. Shapes say how many there may be, and so how the values lie.
   */
  readonly growing?: readonly Growing[];
}

export interface Growing {
  readonly operand: number;
  readonly axis: number;
}

export type Phase = (k: PhaseAssembler) => void;

export interface KernelCode {
  readonly phases: readonly Phase[];
  /** Memory behind the results that all cores may use. */
  readonly scratchBytes?: number;
  /** It has to lie in the TCDM. */
  readonly near?: boolean;
}

/** Errors: KernelGap where there is no machine code for the request. */
export type Generate = (request: KernelRequest) => KernelCode;

export type GeneratorTable = Readonly<Record<string, Generate>>;

/** A request for which there is no machine code; the reason is a sentence's end: "elements of type f64". */
export class KernelGap extends Error {}

const WORD = 4;

/** An assembler for one phase of a kernel. */
export class PhaseAssembler extends Assembler {
  readonly request: KernelRequest;
  /** The number of the core that runs the phase. */
  readonly core: X;
  private readonly params: X;
  private places: ReadonlyMap<number, number> = new Map();

  constructor(prefix: string, request: KernelRequest) {
    super(prefix);
    this.request = request;
    this.params = this.copy(A0);
    this.core = this.copy(A1);
  }

  /** The address of an operand. */
  operand(i: number): X {
    return this.parameter(i);
  }
  /** The same, of the operand whose number is in a register: one that lies where its parameter says. */
  operandNumbered(i: X): X {
    return this.x("lw", 0, this.add(this.params, this.mul(i, WORD)));
  }
  /** The address of a result. */
  result(i: number): X {
    return this.parameter(this.request.operands.length + i);
  }
  scratch(): X {
    const { operands, results } = this.request;
    return this.x("lw", (operands.length + results.length) * WORD, this.params);
  }
  /** How many elements the axes that grow have. */
  grown(): X {
    const { operands, results } = this.request;
    return this.x("lw", (operands.length + results.length + 1) * WORD, this.params);
  }
  /** A word of the list of addresses: operands, then results. */
  parameter(i: number): X {
    const place = this.places.get(i);
    if (place !== undefined) return this.add(this.scratch(), place);
    return this.x("lw", i * WORD, this.params);
  }
  /** In `body`, parameters with an offset lie there in the scratch memory. */
  elsewhere(places: ReadonlyMap<number, number>, body: () => void): void {
    const before = this.places;
    this.places = places;
    body();
    this.places = before;
  }

  /**
   * The share of this core of `total` items: from (inclusive) to `end`, in multiples of `grain`; the same for every
   * core and empty for those that come too late.
   */
  share(total: number, grain = 1): { readonly from: X; readonly end: X } {
    const { cores } = this.request;
    if (cores === 1) return { from: this.li(0), end: this.li(total) };
    const each = Math.ceil(total / cores / grain) * grain;
    const most = this.li(total);
    const from = this.min(this.mul(this.core, each), most);
    const end = this.min(this.add(from, each), most);
    return { from, end };
  }
}
