import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { reportPage } from "../../src/report/page.ts";
import { loadArtifact } from "../../src/sim/load.ts";
import { timeline } from "../../src/sim/timeline.ts";
import { compile, core } from "../e2e/corpus.ts";

test("machines of many tiles are drawn in part, and the page says so", async () => {
  const place = mkdtempSync(join(tmpdir(), "aimcc-report-"));
  try {
    const { model, data } = core("gpt2_lm_t113hf433");
    await compile(model, join(place, "artifact"), data[0]);
    const artifact = loadArtifact(join(place, "artifact"));
    const timing = timeline(artifact, 1);
    const squares = (page: string): number => page.split('class="tile"').length - 1;
    const few = reportPage(artifact, timing);
    expect(squares(few)).toBe(8);
    expect(few).not.toContain("are drawn");
    const nodes = { ...artifact.target.nodes, count: 5000 };
    const many = reportPage({ ...artifact, target: { ...artifact.target, nodes } }, timing);
    expect(squares(many)).toBe(4096);
    expect(many).toContain("The first 4096 of 5000 are drawn.");
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});
