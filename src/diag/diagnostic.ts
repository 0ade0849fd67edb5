/** What a user can fix: a permanent code, what is wrong, where in their file, and what to do. */

/** Where a value or a number came from: ONNX nodes, a place in a text, or a whole file. */
export type Place =
  | { readonly kind: "node"; readonly model: string; readonly nodes: readonly string[] }
  | { readonly kind: "text"; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: "file"; readonly file: string }
  | { readonly kind: "command" };

export interface Diagnostic {
  /** Permanent: never reused, never renumbered. `docs/errors/CODE.md` is its long form. */
  readonly code: string;
  readonly text: string;
  readonly at: Place;
  readonly hint: string;
}

/** Thrown for input or commands at fault; carries one or more diagnostics. Exit status 2. */
export class InputError extends Error {
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super(diagnostics.map(showDiagnostic).join("\n"));
    this.name = "InputError";
    this.diagnostics = diagnostics;
  }
}

export function showPlace(at: Place): string {
  switch (at.kind) {
    case "node":
      return `${at.model}: ${listed(at.nodes)}`;
    case "text":
      return `${at.file}:${at.line}:${at.column}`;
    case "file":
      return at.file;
    case "command":
      return "the command line";
  }
}

/** At most three names, then how many more. */
function listed(nodes: readonly string[]): string {
  const shown = nodes.slice(0, 3).map((n) => `node '${n}'`);
  if (nodes.length > 3) shown.push(`${nodes.length - 3} more`);
  return shown.join(", ");
}

const showDiagnostic = (d: Diagnostic): string =>
  `error[${d.code}]: ${d.text}\n  at ${showPlace(d.at)}\n  hint: ${d.hint}`;

/** Stops at the first fault. Where several can be gathered, collect and throw one InputError. */
export function fail(code: string, text: string, at: Place, hint: string): never {
  throw new InputError([{ code, text, at, hint }]);
}

export const inFile = (file: string): Place => ({ kind: "file", file });
