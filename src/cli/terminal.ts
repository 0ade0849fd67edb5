/** The only place that writes: results to standard output, progress and messages to standard error. */

import pc from "picocolors";
import { visible } from "../diag/diagnostic.ts";

export const out = (text: string): void => {
  process.stdout.write(ended(visible(text)));
};

export const say = (text: string): void => {
  clearLine();
  process.stderr.write(ended(visible(text)));
};

const ended = (text: string): string => (text.endsWith("\n") ? text : `${text}\n`);

/** Colours for standard output; none when it is not a terminal. */
export const paint = pc.createColors(pc.isColorSupported && process.stdout.isTTY === true);

/** A reader that goes away (`| head`) ends the program quietly, as it does for other tools. */
export function endQuietlyWithoutReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
}

export interface Progress {
  /** What is being done now; replaces what was shown. */
  show(text: string): void;
  /** Clears the line. */
  done(): void;
}

/** One line on a terminal's standard error; nothing when that is not a terminal. */
export function startProgress(): Progress {
  if (process.stderr.isTTY !== true) return { show: () => {}, done: () => {} };
  const colors = pc.createColors(true);
  return {
    show: (text) => {
      const width = (process.stderr.columns ?? 80) - 1;
      process.stderr.write(`\r\u001b[2K${colors.dim(text.slice(0, width))}`);
    },
    done: clearLine,
  };
}

function clearLine(): void {
  if (process.stderr.isTTY === true) process.stderr.write("\r\u001b[2K");
}

export type Align = "left" | "right";

/** Columns padded to their widest cell, two spaces apart; cells must not hold colour codes. */
export function table(rows: readonly (readonly string[])[], align: readonly Align[] = []): string {
  const columns = Math.max(0, ...rows.map((r) => r.length));
  const widths = Array.from({ length: columns }, (_, c) =>
    Math.max(...rows.map((r) => (r[c] ?? "").length)),
  );
  const pad = (cell: string, c: number) =>
    align[c] === "right" ? cell.padStart(widths[c] ?? 0) : cell.padEnd(widths[c] ?? 0);
  return rows.map((r) => r.map(pad).join("  ").trimEnd()).join("\n");
}
