// Groups pairs (token, choice) by expert: order int [pairs] lists pairs such that those of an expert are together;
// tiles[0] is the number of tiles, followed by (expert, first place in order, number of pairs) of each. A tile is up
// to `most` pairs of one expert; there are at most ⌈pairs/most⌉ + min(pairs, experts). Experts are at most 1024.
//
// One block of 256, each thread with four experts. LDS 8,256 bytes. The order of the pairs of one expert is not determined;
// no result depends on it. Launched by mul_mat_experts.go.
#include "gpu.h"

// scan returns the sum of x over the threads before this one, and in total that over all; sums is LDS of 8.
DEV int scan(int x, int* sums, int& total) {
  int v = x;
  UNROLL for (int step = 1; step < 32; step *= 2) {
    int y = shfl(v, lane() - step & 31);
    if (lane() >= step) v += y;
  }
  if (lane() == 31) sums[wave()] = v;
  barrier();
  total = 0;
  int before = 0;
  UNROLL for (int i = 0; i < 8; i++) {
    if (i == wave()) before = total;
    total += sums[i];
  }
  return before + v - x;
}

KERNEL(256) mul_mat_experts_sort(const int* RESTRICT ids, int* RESTRICT order, int* RESTRICT tiles, int pairs, int experts,
                                  int most) {
  LDS int count[1024], place[1024], sums[2][8];
  for (int e = tid(); e < 1024; e += 256) count[e] = 0;
  barrier();
  for (int p = tid(); p < pairs; p += 256) atomic_add(&count[ids[p]], 1);
  barrier();
  int n = 0, made = 0, total;
  UNROLL for (int i = 0; i < 4; i++) {
    int c = count[4 * tid() + i];
    n += c, made += (c + most - 1) / most;
  }
  int first = scan(n, sums[0], total), tile = scan(made, sums[1], total);
  if (tid() == 0) tiles[0] = total;
  for (int i = 0; i < 4; i++) {
    const int e = 4 * tid() + i, c = count[e];
    place[e] = first;
    for (int at = 0; at < c; at += most, tile++) {
      int* t = tiles + 1 + 3 * tile;
      t[0] = e, t[1] = first + at, t[2] = c - at < most ? c - at : most;
    }
    first += c;
  }
  barrier();
  for (int p = tid(); p < pairs; p += 256) order[atomic_add(&place[ids[p]], 1)] = p;
}
