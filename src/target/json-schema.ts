/** The published JSON Schemas of targets and devices, made from the zod schemas so that the two cannot differ. */

import { z } from "zod";
import { Device } from "./device.ts";
import { TargetFile } from "./schema.ts";

/** The text of targets/schema.json. */
export const targetJsonSchema = (): string => textOf("aimcc target", TargetFile);

/** The text of devices/schema.json. */
export const deviceJsonSchema = (): string => textOf("aimcc device model", Device);

/** Lists of plain values stand on one line, and exponents without a plus, as the formatter wants. */
function textOf(title: string, schema: z.ZodType): string {
  const text = JSON.stringify({ title, ...z.toJSONSchema(schema) }, null, 2);
  const oneLine = (list: string): string => {
    const joined = list.replace(/\n\s+/g, " ").replace(/^\[ /, "[").replace(/ \]$/, "]");
    return joined.length <= 80 ? joined : list;
  };
  return `${text.replace(/\[[^[\]{}]*\]/g, oneLine).replace(/(\d)e\+(\d)/g, "$1e$2")}\n`;
}
