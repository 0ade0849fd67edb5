/** Policies: which modules go onto tiles and which stay digital. Built-in ones by name, others from YAML. */

import { existsSync, readFileSync } from "node:fs";
import { z } from "zod";
import { fail } from "../diag/diagnostic.ts";
import { byDistance } from "../diag/nearest.ts";
import { parseYaml } from "./yaml-file.ts";

/** Module kinds that a rule may name: the roles of linears, and embeddings. */
const KINDS = [
  "attention-projection",
  "feed-forward",
  "expert",
  "router",
  "head",
  "patch",
  "other",
  "embedding",
] as const;

const Rule = z
  .strictObject({
    /** Glob on the module path: `*` within a segment, `**` across dots. */
    module: z.string().min(1).optional(),
    kind: z.enum(KINDS).optional(),
    place: z.enum(["analog", "digital"]),
    why: z.string().min(1).default("the policy file says so"),
  })
  .refine((r) => r.kind !== "embedding" || r.place === "digital", {
    message: "expected digital: an embedding is a look-up, not a matrix product",
    path: ["place"],
  });

const PolicyFile = z.strictObject({ rules: z.array(Rule).min(1) });

interface Rule {
  readonly module?: string;
  readonly kind?: string;
  readonly place: "analog" | "digital";
  readonly why: string;
}

interface Policy {
  readonly name: string;
  readonly rules: readonly Rule[];
}

const ROUTER: Rule = {
  kind: "router",
  place: "digital",
  why: "the router is small, and noise in it sends tokens to other experts",
};
const HEAD: Rule = {
  kind: "head",
  place: "digital",
  why: "noise in the head reaches the output as it is",
};
const EMBEDDING: Rule = {
  kind: "embedding",
  place: "digital",
  why: "an embedding is a look-up, not a matrix product",
};
const STATIC: Rule = {
  place: "analog",
  why: "a matrix product with constant weights",
};

const POLICIES: Readonly<Record<string, readonly Rule[]>> = {
  default: [ROUTER, HEAD, EMBEDDING, STATIC],
  // arXiv 2603.02633: what every token passes is few parameters and the most sensitive to noise.
  moe: [
    ROUTER,
    HEAD,
    EMBEDDING,
    { kind: "expert", place: "analog", why: "experts hold most weights and tolerate noise best" },
    { place: "digital", why: "every token passes it: few parameters, most sensitive to noise" },
  ],
  // As arXiv 2411.17367 maps MobileBERT: the final output too.
  "all-analog": [EMBEDDING, STATIC],
  "all-digital": [{ place: "digital", why: "the policy keeps everything digital" }],
};

/** Names of the built-in policies. */
export const listPolicies = (): string[] => Object.keys(POLICIES);

/**
 * A built-in policy, or the rules of a YAML file (`rules: [{module, kind, place, why}]`) followed by those of
 * `default`. Throws A204 when there is no such policy and A205 when the file is not a valid one.
 */
export function loadPolicy(nameOrPath: string): Policy {
  const rules = POLICIES[nameOrPath];
  if (rules) return { name: nameOrPath, rules };
  if (!existsSync(nameOrPath)) {
    const [nearest = ""] = byDistance(nameOrPath, listPolicies());
    const text = `there is no policy called '${nameOrPath}'; the nearest is '${nearest}'`;
    const hint = `built-in policies: ${listPolicies().join(", ")}; or give the path of a YAML file`;
    fail("A204", text, { kind: "command" }, hint);
  }
  return parsePolicy(readFileSync(nameOrPath, "utf8"), nameOrPath);
}

/** A policy from YAML text; `file` names it in messages. */
export function parsePolicy(text: string, file: string): Policy {
  const hint = "a policy is a list: `rules: [{module: 'h.*.mlp.**', place: digital, why: …}]`";
  const { rules } = parseYaml(text, file, PolicyFile, { code: "A205", hint });
  return { name: file, rules: [...rules.map(withoutAbsent), ...(POLICIES["default"] ?? [])] };
}

const withoutAbsent = ({ module, kind, place, why }: z.output<typeof Rule>): Rule => ({
  ...(module !== undefined && { module }),
  ...(kind !== undefined && { kind }),
  place,
  why,
});
