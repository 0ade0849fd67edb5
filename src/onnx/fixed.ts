/** Inputs that are constants of the program: what `--set INPUT=VALUE` says of them, held against the file. */

import { type Diagnostic, InputError, inFile } from "../diag/diagnostic.ts";
import { byDistance } from "../diag/nearest.ts";
import { fromNumbers } from "../tensor/convert.ts";
import { type Elem, isFloat, sizeOf, type Tensor } from "../tensor/tensor.ts";
import { type Bindings, boundShape, type DeclaredPort } from "./dims.ts";

/** Values of an input in row-major order, or one for all of its elements. */
export type Settings = Readonly<Record<string, readonly number[]>>;

/**
 * The values of the inputs that are set.
 * Errors: A138 for a name that no input has; A139 for values that the input cannot have.
 */
export function fixedInputs(
  inputs: readonly DeclaredPort[],
  settings: Settings,
  dims: Bindings,
  path: string,
): ReadonlyMap<string, Tensor> {
  const faults: Diagnostic[] = [];
  const fixed = new Map<string, Tensor>();
  for (const [name, values] of Object.entries(settings)) {
    const port = inputs.find((p) => p.name === name);
    const shape = (port ? boundShape(port, dims) : []).filter((d) => d !== null);
    const wrong = port ? misfit(port.elem, shape, values) : null;
    if (!port) faults.push(unknown(name, inputs, path));
    else if (wrong !== null) faults.push(unfit(name, wrong, path));
    else fixed.set(name, filled(port.elem, shape, values));
  }
  if (faults.length > 0) throw new InputError(faults);
  return fixed;
}

/** One number fills a tensor of any size. */
export function filled(elem: Elem, shape: readonly number[], values: readonly number[]): Tensor {
  const size = sizeOf(shape);
  const [first = 0] = values;
  return fromNumbers(elem, shape, values.length === size ? values : new Array(size).fill(first));
}

function misfit(elem: Elem, shape: readonly number[], values: readonly number[]): string | null {
  const size = sizeOf(shape);
  if (values.length !== 1 && values.length !== size) {
    return `has ${size} elements, [${shape.join(", ")}], and ${values.length} values are given`;
  }
  const odd = values.find((v) => !isValueOf(elem, v));
  return odd === undefined ? null : `holds ${elem}, which ${odd} is not`;
}

/** Whole numbers for integers, and 0 or 1 for booleans. */
function isValueOf(elem: Elem, value: number): boolean {
  if (isFloat(elem)) return Number.isFinite(value);
  if (elem === "i1") return value === 0 || value === 1;
  return Number.isSafeInteger(value) && (value >= 0 || !elem.startsWith("u"));
}

function unknown(name: string, inputs: readonly DeclaredPort[], path: string): Diagnostic {
  const names = inputs.map((p) => p.name);
  const [nearest = ""] = byDistance(name, names);
  const hint =
    nearest === "" ? "it has none" : `did you mean ${nearest}? It has ${names.join(", ")}`;
  return { code: "A138", text: `the model has no input '${name}'`, at: inFile(path), hint };
}

function unfit(name: string, why: string, path: string): Diagnostic {
  const hint = `--set ${name}=VALUE for all elements, or as many values, separated by commas`;
  return { code: "A139", text: `input '${name}' ${why}`, at: inFile(path), hint };
}
