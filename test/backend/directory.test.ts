import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { writeDirectory } from "../../src/backend/directory.ts";
import { InputError } from "../../src/diag/diagnostic.ts";

let place = "";
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "aimcc-"));
});

const manifest = (dir: string, text = '{"format":"aimcc-artifact"}') =>
  writeFileSync(join(dir, "manifest.json"), text);

test("a new directory appears whole, with the folders above it", async () => {
  await writeDirectory(join(place, "a/b"), (dir) => manifest(dir));
  expect(readdirSync(join(place, "a"))).toEqual(["b"]);
  expect(readdirSync(join(place, "a/b"))).toEqual(["manifest.json"]);
});

test("a failure leaves nothing, not even the folders above", async () => {
  const filling = writeDirectory(join(place, "a/b"), (dir) => {
    manifest(dir);
    throw new Error("half way");
  });
  await expect(filling).rejects.toThrow("half way");
  expect(readdirSync(place)).toEqual([]);
});

test("an earlier artifact is replaced as a whole", async () => {
  const dir = join(place, "x");
  await writeDirectory(dir, (d) => {
    manifest(d);
    writeFileSync(join(d, "old"), "");
  });
  await writeDirectory(dir, (d) => manifest(d));
  expect(readdirSync(dir)).toEqual(["manifest.json"]);
  expect(readdirSync(place)).toEqual(["x"]);
});

test("an earlier artifact survives a failure", async () => {
  const dir = join(place, "x");
  await writeDirectory(dir, (d) => manifest(d));
  const filling = writeDirectory(dir, () => Promise.reject(new Error("no")));
  await expect(filling).rejects.toThrow("no");
  expect(readdirSync(dir)).toEqual(["manifest.json"]);
});

test.each([
  ["other files", (dir: string) => writeFileSync(join(dir, "thesis.txt"), "years of work")],
  ["a manifest of something else", (dir: string) => manifest(dir, '{"manifest_version":3}')],
])("a directory with %s is refused and kept", async (_, fill) => {
  const dir = join(place, "mine");
  mkdirSync(dir);
  fill(dir);
  const before = readdirSync(dir);
  await expect(writeDirectory(dir, (d) => manifest(d))).rejects.toThrow(InputError);
  expect(readdirSync(dir)).toEqual(before);
});

test("a file in the way is refused and kept", async () => {
  const file = join(place, "file");
  writeFileSync(file, "text");
  await expect(writeDirectory(file, (d) => manifest(d))).rejects.toThrow(/A451/);
  expect(readFileSync(file, "utf8")).toBe("text");
  expect(existsSync(join(place, ".file"))).toBe(false);
});
