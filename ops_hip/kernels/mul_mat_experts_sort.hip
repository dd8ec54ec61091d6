// Groups pairs (token, choice) by expert: order int [pairs] lists pairs such that those of an expert are together;
// tiles[0] is the number of tiles, followed by (expert, first place in order, number of pairs) of each. A tile is up
// to 32 pairs of one expert; there are at most ⌈pairs/32⌉ + min(pairs, experts). Experts are at most 1024.
//
// One block of 256. LDS 8,192 bytes. The order of the pairs of one expert is not determined; no result depends on it.
// Launched by mul_mat_experts.go.
#include "gpu.h"

KERNEL(256) mul_mat_experts_sort(const int* RESTRICT ids, int* RESTRICT order, int* RESTRICT tiles, int pairs, int experts) {
  LDS int count[1024], place[1024];
  for (int e = tid(); e < 1024; e += 256) count[e] = 0;
  barrier();
  for (int p = tid(); p < pairs; p += 256) atomic_add(&count[ids[p]], 1);
  barrier();
  if (tid() == 0) {
    int first = 0, n = 0;
    for (int e = 0; e < experts; e++) {
      place[e] = first;
      for (int i = 0; i < count[e]; i += 32, n++) {
        int* t = tiles + 1 + 3 * n;
        t[0] = e, t[1] = first + i, t[2] = count[e] - i < 32 ? count[e] - i : 32;
      }
      first += count[e];
    }
    tiles[0] = n;
  }
  barrier();
  for (int p = tid(); p < pairs; p += 256) order[atomic_add(&place[ids[p]], 1)] = p;
}
