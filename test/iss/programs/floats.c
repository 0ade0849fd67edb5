/* Single and double precision, the library's functions, printing and parsing. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t bits(float f) {
  uint32_t b;
  memcpy(&b, &f, sizeof b);
  return b;
}

int main(void) {
  float x = 0.1f, sum = 0;
  for (int i = 0; i < 400; i++) {
    x = x * 1.37f + 0.011f;
    if (x > 50) x = -x / 7;
    float values[] = {sinf(x), expf(x / 8), logf(fabsf(x) + 1), sqrtf(fabsf(x)), tanhf(x), erff(x / 20),
                      powf(fabsf(x), 0.3f), fmaf(x, x, -1), floorf(x), x / 3, (float)(int)x, (float)(unsigned)fabsf(x)};
    for (unsigned k = 0; k < sizeof values / sizeof *values; k++) {
      sum += values[k];
      printf("%08lx ", (unsigned long)bits(values[k]));
    }
    printf("%08lx\n", (unsigned long)bits(sum));
  }
  double d = 1;
  for (int i = 1; i < 100; i++) d = d * 1.0001 + sin(d) / i - (double)(float)d / 3;
  printf("%.17g %g %a %d\n", d, (double)sum, (double)x, (int)strtof("3.75e1", NULL));
  return 0;
}
