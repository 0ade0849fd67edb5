/* Holds our dependence relations against isl. One case a line on standard input, four maps separated by '|':
 * writes, reads (both from iterations to elements), newest (consumer -> producer), release (producer -> consumer).
 * Answers one line a case: for each relation `=` if it equals isl's lexicographic maximum, else isl's map. */
#include <isl/ctx.h>
#include <isl/map.h>
#include <isl/options.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void judge(isl_map *wanted, isl_map *ours) {
  /* Iterations that need nothing are unconstrained: compare where isl has an answer. */
  isl_map *same = isl_map_intersect_domain(ours, isl_map_domain(isl_map_copy(wanted)));
  if (isl_map_is_equal(wanted, same) == isl_bool_true) {
    printf("=");
  } else {
    char *text = isl_map_to_str(wanted);
    printf("%s", text);
    free(text);
  }
  isl_map_free(wanted);
  isl_map_free(same);
}

int main(void) {
  isl_ctx *ctx = isl_ctx_alloc();
  char *line = NULL;
  size_t size = 0;
  while (getline(&line, &size, stdin) > 0) {
    isl_map *maps[4];
    char *part = strtok(line, "|\n");
    for (int i = 0; i < 4; i++, part = strtok(NULL, "|\n")) {
      if (part == NULL || (maps[i] = isl_map_read_from_str(ctx, part)) == NULL) return 1;
    }
    /* consumer iteration -> elements -> producer iterations */
    isl_map *needs = isl_map_apply_range(isl_map_copy(maps[1]), isl_map_reverse(isl_map_copy(maps[0])));
    isl_map *read_by = isl_map_reverse(isl_map_copy(needs));
    judge(isl_map_lexmax(needs), maps[2]);
    printf(" ");
    judge(isl_map_lexmax(read_by), maps[3]);
    printf("\n");
    isl_map_free(maps[0]);
    isl_map_free(maps[1]);
  }
  free(line);
  isl_ctx_free(ctx);
  return 0;
}
