/** Models of one size of layer, and their compilation in little memory. */

import { aimcc } from "../../bench/command.ts";
import { GraphFile } from "../../bench/models/graph-file.ts";

/** A feed-forward chain: as many matrices of the same size as wanted. */
export function chain(layers: number, width: number): GraphFile {
  const file = new GraphFile("f32");
  let x = file.input("x", "f32", [1, 4, width]);
  for (let i = 0; i < layers; i++) {
    x = file.node("MatMul", `/layer.${i}/MatMul`, [
      x,
      file.weight(`layer.${i}.weight`, [width, width]),
    ]);
    x = file.node("Relu", `/layer.${i}/Relu`, [x]);
  }
  file.output(x, "f32", [1, 4, width]);
  return file;
}

export const compile = (model: string, out: string, ...more: string[]) =>
  aimcc(["compile", model, "-t", "ahwa-lora", "-o", out, ...more], ["--max-old-space-size=256"]);
