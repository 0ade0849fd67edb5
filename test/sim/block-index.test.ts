import { describe, expect, test } from "vitest";
import { blockIndex } from "../../src/sim/block-index.ts";
import { overlap, type Range } from "../../src/sim/domain.ts";
import { randomOf } from "../raise/perturb.ts";

const touching = (blocks: readonly (readonly Range[])[], region: readonly Range[]): number[] =>
  [...blocks.keys()].filter((i) => overlap(region, blocks[i] ?? []));

describe("the blocks that touch a region", () => {
  test("are found as by a look at all of them", () => {
    const random = randomOf(5);
    const upto = (n: number): number => Math.floor(random() * n);
    const range = (): Range => {
      const lo = upto(9);
      return [lo, lo + upto(4)];
    };
    for (let round = 0; round < 200; round++) {
      const rank = 1 + upto(3);
      const box = (): readonly Range[] => Array.from({ length: rank }, range);
      const blocks = Array.from({ length: upto(30) }, box);
      const index = blockIndex(blocks);
      for (let i = 0; i < 10; i++) {
        const region = box();
        const near = index.near(region);
        expect(near.filter((b) => overlap(region, blocks[b] ?? []))).toEqual(
          touching(blocks, region),
        );
      }
    }
  });

  test("are few where there are many blocks", () => {
    const [batch, tokens] = [30, 40];
    const blocks = Array.from({ length: batch * tokens }, (_, i): readonly Range[] => {
      const [b, t] = [Math.floor(i / tokens), i % tokens];
      return [
        [b, b + 1],
        [t, t + 1],
        [0, 8],
      ];
    });
    const { near } = blockIndex(blocks);
    const one: Range = [3, 4];
    expect(near([one, one, [0, 8]])).toHaveLength(batch);
    expect(near([one, [0, tokens], [0, 8]])).toHaveLength(tokens);
    expect(near([[5, 5], one, [0, 8]])).toEqual([]);
  });
});
