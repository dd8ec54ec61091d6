// Groups pairs (token, choice) by expert: order int [pairs] lists pairs such that those of an expert are together;
// tiles[0] is the number of tiles, followed by (expert, first place in order, number of pairs) of each. A tile is up
// to `most` pairs of one expert; there are at most ⌈pairs/most⌉ + min(pairs, experts). Experts are at most 1024.
//
// One block of 1024, each thread with an expert. LDS 8,448 bytes. The order of the pairs of one expert is not determined;
// no result depends on it. Launched by mul_mat_experts.go.
#include "gpu.h"

enum { sort_threads = 1024 };

// wave_scan returns the sum of x over this lane and those before it.
DEV int wave_scan(int x) {
  UNROLL for (int step = 1; step < 32; step *= 2) {
    int y = shfl(x, lane() - step & 31);
    if (lane() >= step) x += y;
  }
  return x;
}

// scan returns the sum of x over the threads before this one, and in total that over all; sums is LDS of 32.
DEV int scan(int x, int* sums, int& total) {
  const int v = wave_scan(x);
  if (lane() == 31) sums[wave()] = v;
  barrier();
  const int of_waves = wave_scan(sums[lane()]), before = shfl(of_waves, wave() - 1 & 31);
  total = shfl(of_waves, 31);
  return (wave() ? before : 0) + v - x;
}

KERNEL(sort_threads) mul_mat_experts_sort(const int* RESTRICT ids, int* RESTRICT order, int* RESTRICT tiles, int pairs, int experts,
                                          int most) {
  LDS int count[sort_threads], place[sort_threads], sums[2][32];
  const int e = tid();
  count[e] = 0;
  barrier();
  for (int p = e; p < pairs; p += sort_threads) atomic_add(&count[ids[p]], 1);
  barrier();
  const int c = count[e];
  int total, first = scan(c, sums[0], total), tile = scan((c + most - 1) / most, sums[1], total);
  if (e == 0) tiles[0] = total;
  place[e] = first;
  for (int at = 0; at < c; at += most, tile++) {
    int* t = tiles + 1 + 3 * tile;
    t[0] = e, t[1] = first + at, t[2] = c - at < most ? c - at : most;
  }
  barrier();
  for (int p = e; p < pairs; p += sort_threads) order[atomic_add(&place[ids[p]], 1)] = p;
}
