/* Sorting, checksums, 64-bit arithmetic, strings, recursion through pointers. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t state = 12345;
static uint32_t next(void) { return state = state * 1664525u + 1013904223u; }

static int up(const void *a, const void *b) {
  int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return x < y ? -1 : x > y;
}

static uint32_t crc(const uint8_t *p, int n) {
  uint32_t c = ~0u;
  while (n--) {
    c ^= *p++;
    for (int i = 0; i < 8; i++) c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
  }
  return ~c;
}

static int ackermann(int m, int n) {
  if (m == 0) return n + 1;
  return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

int main(int argc, char **argv) {
  static int32_t numbers[2000];
  for (int i = 0; i < 2000; i++) numbers[i] = (int32_t)next();
  qsort(numbers, 2000, sizeof *numbers, up);
  printf("crc %08lx\n", (unsigned long)crc((uint8_t *)numbers, sizeof numbers));
  int64_t sum = 0;
  for (int i = 1; i < 2000; i++) {
    int64_t a = (int64_t)numbers[i] * numbers[i - 1];
    sum += a / (numbers[i] | 1) + a % 1000003 + (a >> (i & 63)) + ((uint64_t)a * 0x9e3779b97f4a7c15ull >> 7);
  }
  printf("sum %llx\n", (unsigned long long)sum);
  for (int i = 1; i < argc; i++) printf("argument %d is %s of %u\n", i, argv[i], (unsigned)strlen(argv[i]));
  char text[100];
  snprintf(text, sizeof text, "%d %x %5s|%-5s|%c", -42, 0xbeef, "ab", "cd", 'e');
  printf("%s %d\n", text, ackermann(2, 9));
  return 7;
}
