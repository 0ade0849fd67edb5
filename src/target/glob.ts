/** Globs on module paths: `*` stands for text without dots, `**` for any number of segments. */

/** A test for paths. `h.*.mlp.**` fits `h.0.mlp` and all below it; `**.lm_head` fits `lm_head` too. */
export function glob(pattern: string): (path: string) => boolean {
  const segments = pattern.split(".");
  const source = segments.reduce((regex, segment, i) => {
    const first = i === 0;
    const dot = first || segments[i - 1] === "**" ? "" : "\\.";
    if (segment !== "**") {
      const text = segment.replace(/[\\^$+?()[\]{}|]/g, "\\$&").replaceAll("*", "[^.]*");
      return `${regex}${dot}${text}`;
    }
    // Each `**` eats the dots around it, so that it may also stand for nothing.
    if (i === segments.length - 1) return first ? ".*" : `${regex}(${dot}.*)?`;
    return `${regex}${dot}(.*\\.)?`;
  }, "");
  const regex = new RegExp(`^${source}$`);
  return (path) => regex.test(path);
}
