/** Names in messages come from the files of strangers. */

import { expect, test } from "vitest";
import { InputError, inFile, visible } from "../../src/diag/diagnostic.ts";

const told = (text: string): string =>
  new InputError([{ code: "A107", text, at: inFile("m.onnx"), hint: "look" }]).message;

test("a name with line breaks and control characters stays on its line, and is seen", () => {
  const name = "a\n  at b\r\u001b]0;title\u0007\u0000\u202ecba";
  expect(told(`nothing defines tensor '${name}'`).split("\n")).toEqual([
    "error[A107]: nothing defines tensor 'a\\n  at b\\u000d\\u001b]0;title\\u0007\\u0000\\u202ecba'",
    "  at m.onnx",
    "  hint: look",
  ]);
});

test("of a name of many thousand characters the beginning and the end are shown", () => {
  const name = `first${"n".repeat(20_000)}last`;
  const [line = ""] = told(`nothing defines tensor '${name}' of node '${name}'`).split("\n");
  expect(line).toMatch(
    /^error\[A107\]: nothing defines tensor 'firstn+…n+last' of node 'firstn+…n+last'$/,
  );
  expect(line.length).toBeLessThan(400);
  const at = { kind: "node", model: "m.onnx", nodes: [name, name, name, name] } as const;
  const details = new Array<string>(5000).fill(name);
  const { message } = new InputError([{ code: "A125", text: name, at, hint: name, details }]);
  expect(message.length).toBeLessThan(55 * 2100);
});

test("a text of many thousand characters is cut", () => {
  const [line = ""] = told(`nothing defines ${"n".repeat(20_000)}`).split("\n");
  expect(line.length).toBeLessThan(2100);
  expect(line).toMatch(/n… \(\d+ characters more\)$/);
});

test("colours, tabs, line breaks and other writing stay as they are", () => {
  const text = "\u001b[1mbold\u001b[22m\t名前\n💥 é";
  expect(visible(text)).toBe(text);
});

test("equal faults are told once, and thousands not at all", () => {
  const fault = (text: string) => ({ code: "A202", text, at: inFile("t.yaml"), hint: "look" });
  const same = new InputError(Array.from({ length: 9 }, () => fault("wrong"))).message;
  expect(same.match(/error/g)).toHaveLength(1);
  const many = new InputError(Array.from({ length: 5000 }, (_, i) => fault(`wrong ${i}`))).message;
  expect(many.match(/error\[/g)).toHaveLength(50);
  expect(many).toMatch(/\nand 4950 more errors$/);
});
