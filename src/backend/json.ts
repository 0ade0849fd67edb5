/** JSON as the artifact writes it: keys in alphabetical order, so that equal values give equal bytes. */

/** Two spaces a level; lists of numbers or short strings stay on one line. */
export function stableJson(value: unknown): string {
  return `${show(value, "")}\n`;
}

function show(value: unknown, indent: string): string {
  if (Array.isArray(value)) return showList(value, indent);
  if (typeof value === "object" && value !== null) return showObject(value, indent);
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new Error(`JSON has no way to write ${value}`);
  }
  return JSON.stringify(value);
}

function showList(list: readonly unknown[], indent: string): string {
  const inner = `${indent}  `;
  const items = list.map((v) => show(v === undefined ? null : v, inner));
  const line = `[${items.join(", ")}]`;
  if (line.length + indent.length <= 100 && !line.includes("\n")) return line;
  if (list.every((v) => typeof v === "number")) return line;
  return `[\n${items.map((item) => inner + item).join(",\n")}\n${indent}]`;
}

function showObject(object: object, indent: string): string {
  const inner = `${indent}  `;
  const entries = Object.entries(object)
    .filter(([, v]) => v !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => `${JSON.stringify(k)}: ${show(v, inner)}`);
  const line = `{${entries.join(", ")}}`;
  if (line.length + indent.length <= 100 && !line.includes("\n")) return line;
  return `{\n${entries.map((e) => inner + e).join(",\n")}\n${indent}}`;
}
