/** The published JSON Schema of target files, made from the zod schema so that the two cannot differ. */

import { z } from "zod";
import { Target } from "./schema.ts";

/** The text of targets/schema.json; lists of plain values stand on one line, as the formatter wants. */
export function targetJsonSchema(): string {
  const text = JSON.stringify({ title: "aimcc target", ...z.toJSONSchema(Target) }, null, 2);
  const oneLine = (list: string): string => {
    const joined = list.replace(/\n\s+/g, " ").replace(/^\[ /, "[").replace(/ \]$/, "]");
    return joined.length <= 80 ? joined : list;
  };
  return `${text.replace(/\[[^[\]{}]*\]/g, oneLine)}\n`;
}
