/** Models with one large weight that stays digital, in each form that files have them in. */

import { GraphFile } from "../../bench/models/graph-file.ts";

/** Rows of x, and the inputs of each product. */
const [ROWS, INPUTS] = [4, 1024];

/** Adds a product with weights for so many outputs, and gives what comes of x [ROWS, INPUTS]. */
type Form = (file: GraphFile, x: string, outputs: number) => string;

const matMul: Form = (file, x, n) =>
  file.node("MatMul", "/MatMul", [x, file.weight("weight", [INPUTS, n])]);

const gemm: Form = (file, x, n) =>
  file.node("Gemm", "/Gemm", [x, file.weight("weight", [n, INPUTS]), file.weight("bias", [n])], {
    transB: 1,
    alpha: 0.5,
    beta: 0.25,
  });

const halves: Form = (file, x, n) => {
  const narrow = file.node("Cast", "/Narrow", [x], { to: 10 });
  const y = file.node("MatMul", "/MatMul", [narrow, file.weight("weight", [INPUTS, n], "f16")]);
  return file.node("Cast", "/Wide", [y], { to: 1 });
};

const integers: Form = (file, x, n) => {
  const parts = ["/x", "/scale", "/zero"];
  const [codes = "", scale = "", zero = ""] = parts;
  file.node("DynamicQuantizeLinear", "/Quantize", [x], {}, parts);
  const weight = file.weight("weight", [INPUTS, n], "i8");
  const y = file.node("MatMulInteger", "/MatMul", [codes, weight, zero]);
  return file.node("Mul", "/Mul", [file.node("Cast", "/Cast", [y], { to: 1 }), scale]);
};

const dequantised: Form = (file, x, n) => {
  const weight = file.weight("weight", [INPUTS, n], "i8");
  const real = file.node("DequantizeLinear", "/Real", [weight, file.weight("scale", [n])], {
    axis: 1,
  });
  return file.node("MatMul", "/MatMul", [x, real]);
};

const blocks: Form = (file, x, n) => {
  const count = INPUTS / 32;
  const codes = file.weight("weight", [n, count, 16], "ui8");
  return file.node(
    "com.microsoft.MatMulNBits",
    "/MatMulNBits",
    [x, codes, file.weight("scale", [n * count])],
    { K: INPUTS, N: n, bits: 4, block_size: 32 },
  );
};

/** Eight matrices of experts; each row of x takes two. */
const experts: Form = (file, x, n) => {
  const logits = file.node("MatMul", "/router", [x, file.weight("router", [INPUTS, 8])]);
  const up = file.weight("up", [8, n / 16, INPUTS]);
  const down = file.weight("down", [8, INPUTS, n / 16]);
  return file.node("com.microsoft.MoE", "/MoE", [x, logits, up, "", down], {
    k: 2,
    activation_type: "relu",
  });
};

/** More matrices than heads, which stay one product. */
const stack: Form = (file, x, n) =>
  file.node("MatMul", "/MatMul", [x, file.weight("weight", [128, INPUTS, n / 128])]);

const embedding: Form = (file, x, n) => {
  const ids = file.node("Cast", "/Cast", [file.node("Abs", "/Abs", [x])], { to: 7 });
  return file.node("Gather", "/Gather", [file.weight("table", [n, INPUTS]), ids]);
};

export const FORMS = {
  matMul,
  gemm,
  halves,
  integers,
  dequantised,
  blocks,
  experts,
  stack,
  embedding,
} as const satisfies Readonly<Record<string, Form>>;

export type FormName = keyof typeof FORMS;

/** A model of one product with INPUTS × `outputs` weights. */
export function formed(name: FormName, outputs: number): GraphFile {
  const file = new GraphFile("f32");
  const x = file.input("x", "f32", [ROWS, INPUTS]);
  const y = FORMS[name](file, x, outputs);
  file.output(file.node("Relu", "/Relu", [y]), "f32", ["a", "b"]);
  return file;
}
