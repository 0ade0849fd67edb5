/** WebAssembly modules of one function, written byte by byte. Source: WebAssembly Core Specification 2.0, section 5. */

import { OPCODE, type Opcode } from "./wasm-opcodes.ts";

export const TYPE = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;
export type ValueType = (typeof TYPE)[keyof typeof TYPE];
const NOTHING = 0x40;

function unsigned(to: number[], value: number): void {
  let rest = value >>> 0;
  for (; rest >= 0x80; rest >>>= 7) to.push((rest & 0x7f) | 0x80);
  to.push(rest);
}

function signed(to: number[], value: bigint): void {
  let rest = value;
  while (rest < -64n || rest >= 64n) {
    to.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  to.push(Number(rest & 0x7fn));
}

/** Small numbers are nearly all there are. */
function signed32(to: number[], value: number): void {
  let rest = value | 0;
  while (rest < -64 || rest >= 64) {
    to.push((rest & 0x7f) | 0x80);
    rest >>= 7;
  }
  to.push(rest & 0x7f);
}

/** The body of a function. Blocks that are open are named by how many were open when they began. */
export class Code {
  readonly bytes: number[] = [];
  private open = 0;

  op(...names: readonly Opcode[]): this {
    for (const name of names) {
      const number = OPCODE[name];
      if (number < 0x10000) this.bytes.push(number);
      else {
        this.bytes.push(number >> 16);
        unsigned(this.bytes, number & 0xffff);
      }
    }
    return this;
  }

  get(local: number): this {
    return this.numbered(0x20, local);
  }

  set(local: number): this {
    return this.numbered(0x21, local);
  }

  tee(local: number): this {
    return this.numbered(0x22, local);
  }

  call(imported: number): this {
    return this.numbered(0x10, imported);
  }

  i32(value: number): this {
    this.bytes.push(0x41);
    signed32(this.bytes, value);
    return this;
  }

  i64(value: bigint): this {
    this.bytes.push(0x42);
    signed(this.bytes, value);
    return this;
  }

  f32(value: number): this {
    this.bytes.push(0x43, ...new Uint8Array(Float32Array.of(value).buffer));
    return this;
  }

  /** A load or store at the address on the stack and an offset. */
  memory(name: Opcode, offset: number): this {
    this.op(name);
    this.bytes.push(0);
    unsigned(this.bytes, offset);
    return this;
  }

  /** An operation on one lane. */
  lane(name: Opcode, lane: number): this {
    this.op(name);
    this.bytes.push(lane);
    return this;
  }

  /** Lanes of bytes out of two vectors: 0 to 15 of the first, 16 to 31 of the second. */
  shuffle(lanes: readonly number[]): this {
    this.bytes.push(0xfd, 0x0d, ...lanes);
    return this;
  }

  v128(words: readonly number[]): this {
    this.bytes.push(0xfd, 0x0c, ...new Uint8Array(Int32Array.from(words).buffer));
    return this;
  }

  block(): number {
    return this.opened(0x02, NOTHING);
  }

  loop(): number {
    return this.opened(0x03, NOTHING);
  }

  if(result: ValueType | null = null): number {
    return this.opened(0x04, result ?? NOTHING);
  }

  else(): this {
    this.bytes.push(0x05);
    return this;
  }

  end(): this {
    this.open--;
    this.bytes.push(0x0b);
    return this;
  }

  br(block: number): this {
    return this.numbered(0x0c, this.open - 1 - block);
  }

  brIf(block: number): this {
    return this.numbered(0x0d, this.open - 1 - block);
  }

  private opened(opcode: number, result: number): number {
    this.bytes.push(opcode, result);
    return this.open++;
  }

  private numbered(opcode: number, number: number): this {
    this.bytes.push(opcode);
    unsigned(this.bytes, number);
    return this;
  }
}

interface Signature {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}

interface OneFunction extends Signature {
  readonly imports: readonly (Signature & { readonly name: string })[];
  /** Beyond the parameters. */
  readonly locals: readonly ValueType[];
  readonly body: Code;
}

const counted = (items: readonly (readonly number[])[]): number[] => {
  const to: number[] = [];
  unsigned(to, items.length);
  for (const item of items) for (const byte of item) to.push(byte);
  return to;
};

const sized = (bytes: readonly number[]): number[] => {
  const to: number[] = [];
  unsigned(to, bytes.length);
  for (const byte of bytes) to.push(byte);
  return to;
};

const text = (name: string): number[] => sized([...Buffer.from(name, "utf8")]);

const number = (value: number): number[] => {
  const to: number[] = [];
  unsigned(to, value);
  return to;
};

const typed = ({ parameters, results }: Signature): number[] => [
  0x60,
  ...sized(parameters),
  ...sized(results),
];

/** A module that exports the function as `run`; `env` gives its imports, and `memory`. */
export function moduleOf({ parameters, results, imports, locals, body }: OneFunction): Uint8Array {
  const section = (id: number, content: readonly number[]): number[] => [id, ...sized(content)];
  const env = text("env");
  const functions = imports.map(({ name }, i) => [...env, ...text(name), 0x00, ...number(i + 1)]);
  const memory = [...env, ...text("memory"), 0x02, 0x00, 0x00];
  const code = [...counted(locals.map((type) => [1, type])), ...body.bytes, 0x0b];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, counted([{ parameters, results }, ...imports].map(typed))),
    ...section(2, counted([memory, ...functions])),
    ...section(3, counted([[0]])),
    ...section(7, counted([[...text("run"), 0x00, ...number(imports.length)]])),
    ...section(10, counted([sized(code)])),
  ]);
}
