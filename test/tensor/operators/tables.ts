/** Every operator in every form: the tables are the other files of this folder. */

import { BINARY_ROWS } from "./binary.ts";
import { CAST_ROWS } from "./casts.ts";
import { GATHER_ROWS } from "./gather.ts";
import { LAYOUT_ROWS } from "./layout.ts";
import { MADE_ROWS } from "./made.ts";
import { PRODUCT_ROWS } from "./products.ts";
import { QUANTISED_ROWS } from "./quantised.ts";
import { REDUCE_ROWS } from "./reduce.ts";
import { RESIZE_ROWS } from "./resize.ts";
import type { Row } from "./row.ts";
import { TRANSFORMER_ROWS } from "./transformer.ts";
import { UNARY_ROWS } from "./unary.ts";
import { WINDOW_ROWS } from "./windows.ts";

export const TABLES: Readonly<Record<string, readonly Row[]>> = {
  unary: UNARY_ROWS,
  binary: BINARY_ROWS,
  casts: CAST_ROWS,
  reductions: REDUCE_ROWS,
  layout: LAYOUT_ROWS,
  made: MADE_ROWS,
  indices: GATHER_ROWS,
  products: PRODUCT_ROWS,
  quantised: QUANTISED_ROWS,
  windows: WINDOW_ROWS,
  resizing: RESIZE_ROWS,
  transformers: TRANSFORMER_ROWS,
};
