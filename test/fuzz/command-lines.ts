/** Lines that a user may type, right and wrong. READY stands for the folder that `ready.ts` fills. */

import fc from "fast-check";

const ARTIFACT = "READY/artifact";
const MODEL = "READY/model.onnx";

const COMMANDS: readonly (readonly string[])[] = [
  ["compile", MODEL, "-t", "ahwa-lora", "-o", "artifact"],
  ["compile", "READY/open.onnx", "-t", "hermes-64", "-o", "artifact"],
  ...["run", "verify", "inspect", "report", "export"].map((name) => [name, ARTIFACT]),
  ["inspect", MODEL],
  ["opt", `${ARTIFACT}/ir/00-read.mlir`],
  ["targets", "list"],
  ["targets", "show"],
  ["explain"],
  [],
];

const OPTIONS: readonly string[] = (
  "--dim --data --policy --lora --tokens --seed --dump-ir --no-tiles --verify-each -t -o --target " +
  "--output --inputs --mode --time --out --seeds --tolerance --model --metric --labels --json --ops " +
  "--tiles --schedule --node --weight --level --passes --help --version --nonsense --"
).split(" ");

const VALUES: readonly string[] = [
  ...["batch=1", "sequence=2", "batch=0", "batch=-1", "batch=", "=3", "batch=1e9", "x", "", " "],
  ...["sequence=99999999999999999999", "sequence=4294967296", "sequence=1000000", "__proto__=1"],
  ...["constructor=2", "0", "1", "-1", "2", "1.5", "NaN", "Infinity", "9007199254740993", "1e400"],
  ...[
    "9".repeat(400),
    "auto",
    "all",
    "none",
    "rank=2",
    "rank=0",
    "rank=99999999999",
    "rank=1,alpha=0",
  ],
  ...["default", "moe", "constructor", "ideal", "quantized", "noisy", "1d", "99999999999y", "0s"],
  ...["ahwa-lora", "hermes-64", "../x", "/", "/dev/null", "/nonexistent/x", ".", "READY", ARTIFACT],
  ...[MODEL, "READY/inputs/x.pb", "READY/inputs/data", "READY/policy.yaml", "x=READY/inputs/x.npy"],
  ...[
    "onnx",
    "nn",
    "aimc",
    "program",
    "infer-shapes",
    "assign,lora",
    ",,",
    "bits-per-byte",
    "\u0000",
  ],
  ...["a\u0000b", "💥", "%s%n", "*", "A120", "A999", "artifact", "exported.onnx", "n".repeat(5000)],
];

export const commandLines: fc.Arbitrary<string[]> = fc
  .tuple(
    fc.constantFrom(...COMMANDS),
    fc.array(fc.oneof(fc.constantFrom(...OPTIONS), fc.constantFrom(...VALUES)), { maxLength: 6 }),
    fc.array(fc.tuple(fc.constantFrom(...OPTIONS), fc.constantFrom(...VALUES)), { maxLength: 3 }),
  )
  .map(([start, loose, given]) => [...start, ...given.flat(), ...loose.slice(0, loose.length % 4)]);
