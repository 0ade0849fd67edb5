/** Text that is safe inside HTML, and the few tags that the report is made of. */

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

export const escaped = (text: string): string => text.replace(/[&<>"']/g, (c) => ENTITIES[c] ?? c);

/** A table whose cells are text; `right` lists columns of numbers. */
export function htmlTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const cell = (tag: string) => (text: string, i: number) =>
    `<${tag}${right.includes(i) ? ' class="n"' : ""}>${escaped(text)}</${tag}>`;
  const line = (tag: string, cells: readonly string[]) =>
    `<tr>${cells.map(cell(tag)).join("")}</tr>`;
  const body = rows.map((r) => line("td", r)).join("\n");
  return `<table><thead>${line("th", head)}</thead><tbody>\n${body}\n</tbody></table>`;
}

export const section = (title: string, ...content: readonly string[]): string =>
  `<section><h2>${escaped(title)}</h2>\n${content.join("\n")}\n</section>`;

/** A colour for a name: the same name has the same colour in every figure of every report. */
export function colorOf(name: string): string {
  let hash = 2166136261;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 16777619);
  return `hsl(${(hash >>> 0) % 360} 55% 55%)`;
}
