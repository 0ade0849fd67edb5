/* Atomic operations, among them the loops of lr.w and sc.w that compare-and-exchange becomes. */
#include <stdatomic.h>
#include <stdio.h>

static atomic_int counter;
static atomic_uint other;

int main(void) {
  for (int i = 0; i < 1000; i++) {
    int seen = atomic_fetch_add(&counter, i);
    while (!atomic_compare_exchange_weak(&counter, &seen, seen ^ (i * 77))) {}
    int wrong = seen + 1;
    if (atomic_compare_exchange_strong(&counter, &wrong, 0)) return 1;
    atomic_fetch_xor(&other, i);
    atomic_fetch_or(&counter, i & 6);
  }
  printf("%d %d\n", counter, (int)other);
  return 3;
}
