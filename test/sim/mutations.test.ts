import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Schedule } from "../../src/artifact/schedule.ts";
import { InputError } from "../../src/diag/diagnostic.ts";
import { loadArtifact } from "../../src/sim/load.ts";
import { timeline } from "../../src/sim/timeline.ts";
import { type Parts, smallParts, writeParts } from "./small-artifact.ts";

/** The message that loading a changed artifact ends with. */
function refusal(change: (parts: Parts) => void): string {
  const parts = smallParts();
  change(parts);
  const directory = writeParts(parts);
  try {
    loadArtifact(directory);
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return (error as Error).message;
  }
  return "accepted";
}

type Step = Schedule["steps"][number];
const step = (parts: Parts, id: string) => parts.schedule.steps.find((s) => s.id === id) as Step;
const buffer = (parts: Parts, id: string) =>
  parts.schedule.buffers.find((b) => b.id === id) as Schedule["buffers"][number];
const weight = (parts: Parts) => parts.mapping.weights[0] as Parts["mapping"]["weights"][0];

test("the artifact as it is is accepted", () => {
  expect(refusal(() => undefined)).toBe("accepted");
});

describe("waits and credits", () => {
  test("two waits swapped", () => {
    const text = refusal((p) => void step(p, "add").waits.reverse());
    expect(text).toMatch(/A405.*step 'add' \[Add\] \(\/add\/Add\): wait 0 is for 'x'.*is of 'y'/);
    expect(text).toContain("small.onnx: node '/add/Add'");
  });

  test("what two waits wait for swapped", () => {
    const text = refusal((p) => {
      const [first, second] = step(p, "add").waits;
      if (first && second) {
        first.newest = { batch: "same", token: "first" };
        second.newest = { batch: "same", token: "last" };
      }
    });
    expect(text).toMatch(
      /A406.*'y' \(t_y\) from step 'attend'.*to step 'add'.*: iteration 1 \(batch 0, token block 1\) reads block 1, but waits only for block 0/s,
    );
    expect(text).toContain("node '/add/Add', node '/attend/nn.attention'");
  });

  test("a weaker wait", () => {
    const text = refusal((p) => {
      const wait = step(p, "attend").waits[1];
      if (wait) wait.newest = { batch: "same", token: { mul: 1, add: -1, div: 1 } };
    });
    expect(text).toMatch(
      /A406.*'a' \(t_a\) from step 'soft'.*to step 'attend'.*block 1, but waits only for block 0/,
    );
  });

  test.each(["p", "h", "a", "y", "out"])("a ring of one block fewer: %s", (id) => {
    const text = refusal((p) => void buffer(p, id).capacity--);
    expect(text).toMatch(new RegExp(`A407.*buffer '${id}' .*overwrites block 0`));
  });

  test("a ring that cannot hold what one iteration reads", () => {
    const text = refusal((p) => {
      buffer(p, "a").capacity = 2;
      const [credit] = step(p, "soft").credits;
      if (credit) credit.distance = 2;
    });
    expect(text).toMatch(/A406.*reads 3 blocks, and the ring holds 2/);
  });

  test.each(["sum", "soft", "attend", "host"])("without the credit of %s", (reader) => {
    const text = refusal((p) => {
      for (const s of p.schedule.steps) s.credits = s.credits.filter((c) => c.reader !== reader);
    });
    expect(text).toMatch(new RegExp(`A405.*without a credit of its reader '${reader}'`));
  });

  test("the host without the credit of a reader", () => {
    const text = refusal((p) => void p.schedule.inputs[0]?.credits?.pop());
    expect(text).toMatch(/A405.*input 'x': it writes 'x' without a credit of its reader 'add'/);
  });

  test("a credit that is given too early", () => {
    const text = refusal((p) => {
      const [credit] = step(p, "soft").credits;
      if (credit) credit.release = { batch: "same", token: { mul: 1, add: 0, div: 1 } };
    });
    expect(text).toMatch(
      /A407.*'a'.*writing block 4 overwrites block 0, which iteration 2 \(batch 0, token block 2\) still reads; the credits promise iteration 0/,
    );
  });

  test("waits and credits in a circle stop with what each step waits for", () => {
    const parts = smallParts();
    const [credit] = step(parts, "sum").credits;
    if (credit) credit.release = { batch: "last", token: "last" };
    const artifact = loadArtifact(writeParts(parts));
    expect(() => timeline(artifact, 1)).toThrow(
      /A408.*\n.*step 'mul'.*iteration 4.*waits for step 'sum' to read 'p'\n.*step 'sum'.*iteration 2.*waits for step 'soft' to read 'h'/,
    );
  });

  test("a step that does not signal", () => {
    const parts = smallParts();
    step(parts, "sum").signals = [];
    expect(() => timeline(loadArtifact(writeParts(parts)), 1)).toThrow(
      /A408.*step 'soft'.*iteration 0, waits for 'h' of step 'sum'/s,
    );
  });
});

describe("blocks and tiles", () => {
  test("a cut that is out of order", () => {
    const text = refusal((p) => {
      weight(p).colSplits = [0, 4, 2];
    });
    expect(text).toMatch(
      /A403.*weight 'w': its columns are cut at 0, 4, 2, which must rise from 0 to 4/,
    );
    expect(text).toContain("small.onnx: node '/w/MatMul'");
  });

  test("rows that are in no block", () => {
    expect(refusal((p) => void weight(p).rowSplits.pop())).toMatch(
      /A403.*'w': its rows are cut at 0, 2, which must rise from 0 to 4/,
    );
  });

  test("lists that are too short", () => {
    const text = refusal((p) => {
      weight(p).tiles = [0, 1, 2];
      weight(p).adcBound = [1, 2];
    });
    expect(text).toMatch(/A403.*'tiles' has 3 entries, not 4 or 1 for all/);
    expect(text).toMatch(/A403.*'adcBound' has 2 entries, not 4 or 1 for all/);
  });

  test("values of another size", () => {
    const text = refusal((p) => {
      weight(p).rows = 6;
      weight(p).rowSplits = [0, 2, 6];
    });
    expect(text).toMatch(/A403.*'w' is 16 f32, not 24 f32/);
  });

  test("scales of another size", () => {
    const text = refusal((p) => {
      weight(p).rowSplits = [0, 1, 2, 4];
    });
    expect(text).toMatch(/A403.*'w\/scale' is 2x4 f32, not 3x4 f32/);
  });

  test("two blocks on one tile", () => {
    const text = refusal((p) => {
      weight(p).tiles = [0, 1, 1, 3];
    });
    expect(text).toMatch(/A404.*block 2: tile 1 already holds block 1 of 'w'/);
  });

  test("two weights on tiles that follow one another", () => {
    const text = refusal((p) => {
      p.mapping.weights.push({ ...weight(p), name: "v", tiles: [3] });
    });
    expect(text).toMatch(/A404.*weight 'v': block 0: tile 3 already holds block 3 of 'w'/);
  });

  test("a node that the target does not have", () => {
    const text = refusal((p) => {
      p.manifest.target.nodes.count = 3;
    });
    expect(text).toMatch(/A404.*block 3: node 3 does not exist: ahwa-lora has 3/);
  });

  test("a block larger than a tile", () => {
    const text = refusal((p) => {
      p.manifest.target.tile.rows.value = 1;
    });
    expect(text).toMatch(/A404.*a block has 2 x 2 elements, a tile 1 x 2/);
  });

  test("a launch of other tiles than the blocks are on", () => {
    const text = refusal((p) => {
      step(p, "mul").tiles = [1, 0, 2, 3];
    });
    expect(text).toMatch(/A405.*step 'mul'.*block 0 is on tile 0, and tile 1 is launched/);
  });
});

describe("files", () => {
  test("one that is missing", () => {
    const directory = writeParts(smallParts());
    rmSync(join(directory, "mapping.json"));
    expect(() => loadArtifact(directory)).toThrow(/A401.*no mapping.json/);
  });

  test("one that is cut short", () => {
    const directory = writeParts(smallParts());
    writeFileSync(join(directory, "schedule.json"), '{"version":1,');
    expect(() => loadArtifact(directory)).toThrow(/A401.*schedule.json is not JSON/);
  });

  test("one of another version", () => {
    expect(
      refusal((p) => {
        p.manifest.version = 2;
      }),
    ).toMatch(/A402.*manifest.json has format version 2/);
  });

  test("a field of the wrong kind", () => {
    expect(
      refusal((p) => {
        step(p, "soft").cluster = -1;
      }),
    ).toMatch(/A401.*schedule.json: steps.2.cluster/);
    const buffers = refusal((p) => {
      Object.assign(p.schedule.buffers[1] ?? {}, { elem: "F32" });
    });
    expect(buffers).toMatch(/A401.*schedule.json: buffers.1.elem/);
    const weights = refusal((p) => {
      Object.assign(p.mapping.weights[0] ?? {}, { elem: "F32" });
    });
    expect(weights).toMatch(/A401.*mapping.json: weights.0.elem/);
  });

  test("names of nothing", () => {
    expect(
      refusal((p) => {
        step(p, "soft").kernel = "Sofmax";
      }),
    ).toMatch(/A405.*'soft'.*no kernel of this name/);
    const text = refusal((p) => {
      step(p, "soft").reads = [{ constant: "c", select: ["all"] }];
      step(p, "soft").waits = [];
    });
    expect(text).toMatch(/A405.*'soft'.*constant 'c' does not exist/);
    const linear = refusal((p) => {
      Object.assign(step(p, "soft"), { kernel: "nn.linear", attrs: { weight: { weight: "w2" } } });
    });
    expect(linear).toMatch(/A405.*'soft'.*constant 'w2' does not exist/);
  });
});
