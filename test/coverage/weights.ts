/**
 * Puts the weights together again from mapping.json and tiles.safetensors, and holds them against the ONNX
 * file bit by bit. Everything is read here with a protobuf reader and a few lines for safetensors: none of
 * the compiler's code takes part in the judgement.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import onnxProto from "onnx-proto";
import { expect } from "vitest";

interface Raw {
  readonly shape: number[];
  readonly bytes: Buffer;
}

function safetensors(path: string): Map<string, Raw> {
  const file = readFileSync(path);
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, 8 + length)) as Record<
    string,
    { shape: number[]; data_offsets: [number, number] }
  >;
  const { __metadata__: _, ...tensors } = header;
  return new Map(
    Object.entries(tensors).map(
      ([
        name,
        {
          shape,
          data_offsets: [from, to],
        },
      ]) => [name, { shape, bytes: file.subarray(8 + length + from, 8 + length + to) }],
    ),
  );
}

/** Raw bytes of every constant tensor of a model file: initializers, and Constant nodes. */
function constants(path: string): Map<string, Raw> {
  const { graph } = onnxProto.onnx.ModelProto.decode(readFileSync(path));
  const nodes = (graph?.node ?? []).filter((n) => n.opType === "Constant");
  const tensors: [string, onnxProto.onnx.ITensorProto | null | undefined][] = [
    ...(graph?.initializer ?? []).map((t): [string, typeof t] => [t.name ?? "", t]),
    ...nodes.map((n): [string, onnxProto.onnx.ITensorProto | null | undefined] => [
      n.output?.[0] ?? "",
      n.attribute?.[0]?.t,
    ]),
  ];
  return new Map(
    tensors.flatMap(([name, t]) => {
      if (!t) return [];
      const raw = t.rawData?.length ? Buffer.from(t.rawData) : floats(t.floatData ?? []);
      return [[name, { shape: (t.dims ?? []).map(Number), bytes: raw }] as const];
    }),
  );
}

const floats = (values: readonly number[]): Buffer => Buffer.from(Float32Array.from(values).buffer);

interface Mapped {
  readonly name: string;
  readonly initializer: string;
  readonly slice?: number;
  readonly transposed: boolean;
  readonly elem: string;
  readonly rows: number;
  readonly cols: number;
  readonly rowSplits: number[];
  readonly colSplits: number[];
  readonly tiles: number[];
  readonly values: string;
  readonly scales: string;
}

/** Bytes of an element, where that is not four. */
const BYTES: Readonly<Record<string, number>> = { f16: 2, bf16: 2, i8: 1, ui8: 1 };

/** [0, 2, 5] as [0, 2] and [2, 5]. */
const parts = (splits: readonly number[]) =>
  splits.slice(1).map((to, i): [number, number] => [splits[i] ?? 0, to]);

/** The matrix as the file stores it, put together from its blocks; each element exactly once. */
function reassembled(weight: Mapped, tiles: ReadonlyMap<string, Raw>, width: number): Buffer {
  const { rows, cols, transposed, rowSplits, colSplits, values } = weight;
  const whole = Buffer.alloc(rows * cols * width);
  const placed = new Uint8Array(rows * cols);
  const held = tiles.get(values);
  if (!held) throw new Error(`no ${values}`);
  let from = 0;
  for (const [top, bottom] of parts(rowSplits)) {
    for (const [left, right] of parts(colSplits)) {
      for (let i = 0; i < (bottom - top) * (right - left); i++, from += width) {
        const [r, c] = [top + Math.floor(i / (right - left)), left + (i % (right - left))];
        const at = transposed ? c * rows + r : r * cols + c;
        placed[at] = (placed[at] ?? 0) + 1;
        held.bytes.copy(whole, at * width, from, from + width);
      }
    }
  }
  expect(held.bytes.length).toBe(from);
  expect(
    placed.every((n) => n === 1),
    `${weight.name}: every element lies on one tile`,
  ).toBe(true);
  return whole;
}

const mappedIn = (dir: string): readonly Mapped[] =>
  (JSON.parse(readFileSync(join(dir, "mapping.json"), "utf8")) as { weights: Mapped[] }).weights;

/** The tiles hold the file's own weights, each element once, and no tile holds two blocks. */
export function holdWeights(model: string, dir: string): void {
  const weights = mappedIn(dir);
  expect(weights.length).toBeGreaterThan(3);
  const tiles = safetensors(join(dir, "tiles.safetensors"));
  const originals = constants(model);
  const used = new Set<number>();
  for (const weight of weights) {
    const count = (weight.rowSplits.length - 1) * (weight.colSplits.length - 1);
    const [first = 0] = weight.tiles;
    const listed = weight.tiles.length > 1 ? weight.tiles : undefined;
    for (const tile of listed ?? Array.from({ length: count }, (_, i) => first + i)) {
      expect(used.has(tile), `tile ${tile} holds one block`).toBe(false);
      used.add(tile);
    }
    const original = originals.get(weight.initializer);
    if (!original) throw new Error(`the file has no ${weight.initializer}`);
    const size = weight.rows * weight.cols * (BYTES[weight.elem] ?? 4);
    const start = (weight.slice ?? 0) * size;
    const whole = reassembled(weight, tiles, BYTES[weight.elem] ?? 4);
    expect(whole.equals(original.bytes.subarray(start, start + size)), weight.name).toBe(true);
  }
}

/** The scale of each column of float weights is its largest absolute weight. */
export function holdScales(dir: string): void {
  const tiles = safetensors(join(dir, "tiles.safetensors"));
  const f32 = (raw: Raw) => new Float32Array(Uint8Array.from(raw.bytes).buffer);
  let columns = 0;
  for (const { rowSplits, colSplits, cols, values, scales } of mappedIn(dir)) {
    const held = f32(tiles.get(values) as Raw);
    const gamma = f32(tiles.get(scales) as Raw);
    let from = 0;
    for (const [r, [top, bottom]] of parts(rowSplits).entries()) {
      for (const [left, right] of parts(colSplits)) {
        const block = held.subarray(from, from + (bottom - top) * (right - left));
        from += block.length;
        for (let c = left; c < right; c++, columns++) {
          const column = block.filter((_, i) => i % (right - left) === c - left);
          expect(gamma[r * cols + c]).toBe(Math.max(...column.map(Math.abs)));
        }
      }
    }
  }
  expect(columns).toBeGreaterThan(1000);
}
