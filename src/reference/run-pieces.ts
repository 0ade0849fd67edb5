/**
 * Runs an original model piece by piece: each piece is a model of its own that ONNX Runtime opens, runs on all
 * inferences, and closes. Node by node the answers are those of the whole model.
 */

import { codeOf } from "../onnx/elem.ts";
import { decodeModel, type ModelProto, onnx } from "../onnx/proto.ts";
import { readSkeleton } from "../onnx/skeleton.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { canLink, openBeside } from "./beside.ts";
import { type CutModel, cutProducts, withPartsValues } from "./cut-products.ts";
import { strictModel } from "./exact.ts";
import { letGo } from "./let-go.ts";
import { constantsOf, type Piece, piecesOf, withValues } from "./pieces.ts";
import { type Session, UNSAYABLE } from "./run.ts";

type Tensors = ReadonlyMap<string, Tensor>;

export interface Wanted {
  /** Of each inference. */
  readonly outputs: readonly string[];
  /** Of the first inference; those that no node computes are left out. */
  readonly taps: readonly string[];
  /** Bytes of weights of a piece. */
  readonly bytes?: number;
  /** Is told how many pieces of how many have run. */
  readonly tell?: (done: number, of: number) => void;
}

/** What is inside of the file is held four times while a piece is opened: read, encoded, decoded, as it is used. */
const PIECE_BYTES = 16 * 2 ** 20;

/** One entry of outputs an inference. */
export interface Answers {
  readonly outputs: readonly Tensors[];
  readonly taps: Tensors;
}

/**
 * What the model of a file defines, apart from what it permits (exact.ts); null when it cannot be cut into pieces.
 * Errors: A140 and A141 when ONNX Runtime refuses a piece.
 */
export async function runInPieces(
  path: string,
  inferences: readonly Tensors[],
  wanted: Wanted,
): Promise<Answers | null> {
  const fed = new Set(inferences[0]?.keys() ?? []);
  const taps = new Set(wanted.taps.filter((n) => n !== UNSAYABLE && n !== ""));
  const outputs = new Set(wanted.outputs);
  const ready = prepared(path, fed, new Set([...taps, ...outputs]), wanted.bytes ?? PIECE_BYTES);
  if (!ready) return null;
  const { source, pieces } = ready;
  const values = inferences.map((given) => new Map(given));
  for (const [i, piece] of pieces.entries()) {
    const later = new Set([...pieces.slice(i + 1).flatMap((p) => p.reads), ...outputs]);
    const leaving = piece.gives.filter((n) => later.has(n));
    const tapped = piece.gives.filter((n) => taps.has(n) && !later.has(n));
    // A piece of nodes that nobody reads.
    if (leaving.length + tapped.length === 0) continue;
    const session = await opened(source, piece, [...leaving, ...tapped], values);
    for (const [k, held] of values.entries()) {
      const given = new Map([...held].filter(([name]) => piece.reads.includes(name)));
      const asked = k === 0 ? [...leaving, ...tapped] : leaving;
      for (const [name, value] of await session.run(given, asked)) held.set(name, value);
      keep(held, (name) => later.has(name) || (k === 0 && taps.has(name)));
    }
    await session.close();
    letGo();
    wanted.tell?.(i + 1, pieces.length);
  }
  return {
    outputs: values.map((held) => new Map([...held].filter(([name]) => outputs.has(name)))),
    taps: new Map([...(values[0] ?? [])].filter(([name]) => taps.has(name) && !fed.has(name))),
  };
}

/** The pieces of a model, large products cut; values in `asked` are computed whole. */
function prepared(
  path: string,
  fed: ReadonlySet<string>,
  asked: ReadonlySet<string>,
  bytes: number,
): { readonly source: Source; readonly pieces: readonly Piece[] } | null {
  const model = strictModel(decodeModel(readSkeleton(path).message, path));
  if (!piecesOf(model, path, fed, bytes)) return null;
  const cut = cutProducts(model, path, constantsOf(model.graph, fed), asked, bytes);
  const pieces = piecesOf(cut.model, path, fed, bytes);
  const source = { path, model, linked: canLink(path, model), parts: cut.parts };
  return pieces && { source, pieces };
}

function keep(values: Map<string, Tensor>, isWanted: (name: string) => boolean): void {
  for (const name of values.keys()) if (!isWanted(name)) values.delete(name);
}

interface Source {
  readonly path: string;
  readonly model: ModelProto;
  /** Data files can be linked beside a piece: ONNX Runtime maps them then. */
  readonly linked: boolean;
  readonly parts: CutModel["parts"];
}

/** A piece alone. `given` are the values that it will read, of each inference. */
function opened(
  { path, model, linked, parts }: Source,
  piece: Piece,
  output: readonly string[],
  given: readonly Tensors[],
): Promise<Session> {
  const graph = {
    name: model.graph?.name ?? "",
    node: [...piece.nodes],
    initializer: piece.constants.map((t) => {
      const part = parts.get(t.name ?? "");
      return part ? withPartsValues(part) : withValues(t, path, linked);
    }),
    input: piece.reads.map((name) =>
      portOf(
        name,
        given.flatMap((values) => values.get(name) ?? []),
      ),
    ),
    output: output.map((name) => ({ name })),
  };
  const own = { ...model, graph };
  const bytes = onnx.ModelProto.encode(own).finish();
  return openBeside(path, own, bytes, { optimisation: "disabled", copyOf: path });
}

/**
 * With the sizes that all inferences have: ONNX Runtime's contrib operators infer wrong shapes from inputs
 * without any (GroupQueryAttention then takes its query for a packed one).
 */
function portOf(name: string, [first, ...others]: readonly Tensor[]) {
  const elemType = codeOf(first?.elem ?? "f32");
  if (!first || others.some(({ shape }) => shape.length !== first.shape.length)) {
    return { name, type: { tensorType: { elemType } } };
  }
  const dim = first.shape.map((size, i) =>
    others.every(({ shape }) => shape[i] === size) ? { dimValue: size } : {},
  );
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
}
