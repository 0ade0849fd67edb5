/** README's commands run, and print what README says that they print. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { aimcc } from "./cli.ts";

const PREFIX = "npm run -s aimcc -- ";

interface Example {
  readonly command: string;
  /** What README shows below the command; "" when it shows nothing. */
  readonly shown: string;
}

function examples(readme: string): Example[] {
  const found: Example[] = [];
  for (const [, language, body = ""] of readme.matchAll(/^```(\w*)\n(.*?)^```$/gms)) {
    const commands = body.split("\n").filter((line) => line.startsWith(PREFIX));
    if (language === "sh")
      for (const c of commands) found.push({ command: c.slice(PREFIX.length), shown: "" });
    const last = found.pop();
    if (last) found.push(language === "" && last.shown === "" ? { ...last, shown: body } : last);
  }
  return found;
}

/**
 * Lines, without what the rounding of the processor decides: errors around 1e-7, and which layers have the
 * largest of them.
 */
const comparable = (text: string): string[] =>
  text
    .trimEnd()
    .replace(/\d\.\de-\d+/g, "tiny")
    .replace(/(furthest off, in order\n).*?\n\n/s, "$1")
    .split("\n");

describe("README.md", () => {
  const found = examples(readFileSync("README.md", "utf8"));

  test("has examples, and shows what the first ones print", () => {
    expect(found.length).toBeGreaterThanOrEqual(6);
    expect(found.filter((e) => e.shown !== "").length).toBeGreaterThanOrEqual(3);
  });

  test.each(found)("$command", async ({ command, shown }) => {
    const { status, stdout, stderr } = await aimcc(...command.split(" "));
    expect(stderr).toBe("");
    expect(status).toBe(0);
    const hint = "npm run readme puts the new output there";
    if (shown !== "") expect(comparable(stdout), hint).toEqual(comparable(shown));
  });
});
