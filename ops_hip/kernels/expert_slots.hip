// Which experts' products are made where, and how often experts are chosen. No LDS, blocks of 256.
//
//   expert_slots   for i < n: s = table[ids[i]], or ids[i] itself without a table (null); slots[i] = s, rest[i] = -1 - ids[i] and
//                  from[i] = i if s is not negative, else 0, ids[i] and -1. An expert beyond the table's `experts` has no slot.
//                  Grid ⌈n/256⌉. Reference: ops_ref/expert_slots.go. Launched by expert_slots.go.
//   count_experts  counts[e] += how many of n ids are e or -1 - e, for e < experts. Grid ⌈experts/256⌉. Reference:
//                  ops_ref/expert_slots.go. Launched by expert_slots.go.
#include "gpu.h"

KERNEL(256) expert_slots(const int* RESTRICT ids, const int* RESTRICT table, int* RESTRICT slots, int* RESTRICT rest, int* RESTRICT from,
                         int experts, u32 n) {
  u32 i = (u32)block_x() * 256 + tid();
  if (i >= n) return;
  int e = ids[i], s = e;
  if (table && e >= 0) s = e < experts ? table[e] : -1;
  slots[i] = s < 0 ? 0 : s;
  rest[i] = s < 0 ? e : -1 - e;
  from[i] = s < 0 ? -1 : (int)i;
}

KERNEL(256) count_experts(int* RESTRICT counts, const int* RESTRICT ids, int experts, u32 n) {
  int e = (int)((u32)block_x() * 256 + tid()), sum = 0;
  if (e >= experts) return;
  for (u32 i = 0; i < n; i++) {
    int id = ids[i];
    sum += e == (id < 0 ? -1 - id : id);
  }
  counts[e] += sum;
}
