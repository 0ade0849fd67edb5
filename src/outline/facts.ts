/** A model's outline as plain data, for `--json`. */

import { folded } from "./fold.ts";
import { outlineOf, type Seen } from "./outline.ts";
import { dynamicOf, totalsOf } from "./totals.ts";
import { type Branch, isBranch, type Leaf } from "./tree.ts";

const leafFacts = ({ refused, fresh, onTiles, ...leaf }: Leaf) => ({
  ...leaf,
  ...(leaf.missed && {
    missed: { pattern: leaf.missed.pattern, why: leaf.missed.why, nodes: leaf.missed.nodes },
  }),
  ...(refused && { refused: { code: refused.code, text: refused.text, hint: refused.hint } }),
  unshared: fresh,
  onTiles,
});

interface BranchFacts {
  readonly names: readonly string[];
  readonly children: readonly (BranchFacts | ReturnType<typeof leafFacts>)[];
  readonly others: Readonly<Record<string, number>>;
}

const branchFacts = ({ names, children, others }: Branch): BranchFacts => ({
  names,
  children: children.map((c) => (isBranch(c) ? branchFacts(c) : leafFacts(c))),
  others: Object.fromEntries(others),
});

/** The tree with what is alike told once, and what the whole comes to. */
export function outlineFacts(seen: Seen) {
  const tree = outlineOf(seen);
  return {
    tree: branchFacts(folded(tree)),
    totals: totalsOf(tree),
    dynamic: dynamicOf(seen.module),
  };
}
