/** ONNX Runtime as the judge: runs a model as its file says, knowing nothing of the compiler. */

import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { fail, inFile } from "../diag/diagnostic.ts";
import { type Elem, fromBytes, type Tensor } from "../tensor/tensor.ts";

type OrtType = OrtTensor["type"];

/** bfloat16 is missing: ONNX Runtime's JavaScript interface cannot carry it. */
const ORT_TYPES: Readonly<Partial<Record<Elem, OrtType>>> = {
  f32: "float32",
  f64: "float64",
  f16: "float16",
  i64: "int64",
  i32: "int32",
  i16: "int16",
  i8: "int8",
  ui64: "uint64",
  ui32: "uint32",
  ui16: "uint16",
  ui8: "uint8",
  i1: "bool",
};

const ELEM_OF = new Map(Object.entries(ORT_TYPES).map(([elem, type]) => [type, elem as Elem]));

/** The name that no property of a result object of ONNX Runtime's can have. */
export const UNSAYABLE = "__proto__";

export interface SessionOptions {
  /** "disabled" computes node by node as the file says; "all" (default) lets ONNX Runtime fuse. */
  readonly optimisation?: "disabled" | "basic" | "extended" | "all";
  /** Threads within one operator; default 1, so that results do not depend on the machine. */
  readonly threads?: number;
  /** The file that given bytes are a copy of: it is at fault when they are refused. */
  readonly copyOf?: string;
}

export interface Session {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Gives the named outputs, or all. */
  run(
    feeds: ReadonlyMap<string, Tensor>,
    outputs?: readonly string[],
  ): Promise<ReadonlyMap<string, Tensor>>;
  close(): Promise<void>;
}

/**
 * Opens a model file, or the bytes of one.
 * Errors: A140 when ONNX Runtime refuses a file. Refused bytes that are no copy of one are our own
 * export: a plain error.
 */
export async function openModel(
  source: string | Uint8Array,
  options: SessionOptions = {},
): Promise<Session> {
  const session = await createSession(source, options);
  return {
    inputs: session.inputNames,
    outputs: session.outputNames,
    async run(feeds, outputs = session.outputNames) {
      if (outputs.length === 0) return new Map();
      if (outputs.includes(UNSAYABLE)) {
        const what = "ONNX Runtime's JavaScript interface cannot give all results of this model";
        refuse(options.copyOf ?? source, "A141", what, `one is called '${UNSAYABLE}'`);
      }
      const given = Object.fromEntries([...feeds].map(([name, t]) => [name, toOrt(t)]));
      let results: InferenceSession.OnnxValueMapType;
      try {
        results = await session.run(given, [...outputs], { logSeverityLevel: 4 });
      } catch (e) {
        return refuse(
          options.copyOf ?? source,
          "A141",
          "ONNX Runtime cannot run this model on these inputs",
          e,
        );
      }
      return new Map(outputs.map((name) => [name, fromOrt(results[name] as OrtTensor)]));
    },
    close: () => session.release(),
  };
}

/** Runs a model once. */
export async function runModel(
  source: string | Uint8Array,
  feeds: ReadonlyMap<string, Tensor>,
  outputs?: readonly string[],
  options: SessionOptions = {},
): Promise<ReadonlyMap<string, Tensor>> {
  const session = await openModel(source, options);
  try {
    return await session.run(feeds, outputs);
  } finally {
    await session.close();
  }
}

async function createSession(
  source: string | Uint8Array,
  options: SessionOptions,
): Promise<InferenceSession> {
  const settings: InferenceSession.SessionOptions = {
    graphOptimizationLevel: options.optimisation ?? "all",
    intraOpNumThreads: options.threads ?? 1,
    interOpNumThreads: 1,
    executionMode: "sequential",
    // Only what ends the process: everything else comes back as an error, and is told once.
    logSeverityLevel: 4,
  };
  try {
    if (typeof source === "string") return await InferenceSession.create(source, settings);
    return await InferenceSession.create(source, settings);
  } catch (e) {
    return refuse(options.copyOf ?? source, "A140", "ONNX Runtime does not accept this model", e);
  }
}

function refuse(source: string | Uint8Array, code: string, what: string, e: unknown): never {
  const why = e instanceof Error ? e.message : String(e);
  if (typeof source !== "string") throw new Error(`${what}: ${why}`);
  const hint = "verification needs a model that ONNX Runtime runs: check it with onnx.checker";
  return fail(code, `${what}: ${why}`, inFile(source), hint);
}

function toOrt(t: Tensor): OrtTensor {
  const type = ORT_TYPES[t.elem];
  if (!type) throw new Error(`ONNX Runtime's JavaScript interface cannot carry ${t.elem}`);
  return new OrtTensor(type, t.data as Float32Array, [...t.shape]);
}

/** Copies, because ONNX Runtime owns its results; float16 arrives as Uint16Array or Float16Array. */
function fromOrt(t: OrtTensor): Tensor {
  const elem = ELEM_OF.get(t.type);
  if (!elem) throw new Error(`ONNX Runtime gave a result of type ${t.type}`);
  const { buffer, byteOffset, byteLength } = t.data as Uint8Array;
  return fromBytes(elem, [...t.dims], new Uint8Array(buffer, byteOffset, byteLength));
}
