// Finds the k largest elements of each row of x, float [rows, n]: ids int [rows, k], values float [rows, k], the largest
// first and the lower index first among equals. A row with an element that is not finite gets ~i in all its ids, i the index
// of the first such element, and that element in all its values.
//
// Elements are compared as ranks: 64 bits, of which the upper order the elements (those that are not finite above all, zeros
// of both signs alike) and the lower the indexes, the lowest first. So all ranks of a row differ, and 0 is none.
//
//   argmax_part, top_k_part   Grid (rows, parts), blocks of 256: the best ranks of 4096 elements, to part [rows, parts, k].
//   argmax_join, top_k_join   Grid rows, blocks of 256: the best of the parts'.
//
// argmax_* are for k = 1, LDS 64 bytes; top_k_* for k ≤ 64, LDS 32 KiB: lists of 64 are sorted, and then joined in pairs, of
// which the better half is kept. Integers; copies bits. Reference: ops_ref/top_k.go. Launched by top_k.go.
#include "gpu.h"

enum { THREADS = 256, PART = 4096, LIST = 64, LISTS = PART / LIST, PER_THREAD = PART / THREADS };

DEV u64 rank_of(float x, u32 i) {
  u32 b = bits<u32>(x), up = b >> 31 ? ~b : b | 1u << 31;
  if ((b & 0x7fffffff) == 0) up = 1u << 31;
  if ((b & 0x7f800000) == 0x7f800000) up = ~0u;
  return (u64)up << 32 | ~i;
}

DEV u64 larger(u64 a, u64 b) { return a > b ? a : b; }

// write_result writes one id and value of a row, whose best rank is first.
DEV void write_result(const float* x, u64 first, u64 rank, int* id, float* value) {
  bool broken = first >> 32 == ~0u;
  u32 i = ~(u32)(broken ? first : rank);
  *id = (int)(broken ? ~i : i);
  *value = x[i];
}

template <int M> DEV u64 other_lane(u64 r) {
  return (u64)(u32)shfl_xor<M>((int)(r >> 32)) << 32 | (u32)shfl_xor<M>((int)r);
}

// wave_larger returns the largest rank of the lanes, in all of them.
DEV u64 wave_larger(u64 r) {
  r = larger(r, other_lane<1>(r));
  r = larger(r, other_lane<2>(r));
  r = larger(r, other_lane<4>(r));
  r = larger(r, other_lane<8>(r));
  return larger(r, other_lane<16>(r));
}

// block_larger returns the largest rank of the threads, in all of them. best is LDS of a rank for each wave.
DEV u64 block_larger(u64 r, u64* best) {
  r = wave_larger(r);
  if (lane() == 0) best[wave()] = r;
  barrier();
  r = best[0];
  UNROLL for (int i = 1; i < THREADS / 32; i++) r = larger(r, best[i]);
  return r;
}

// load_ranks returns the ranks of the thread's elements of a part, in r[j] that of element tid + 256·j. All loads are on
// their way before one is waited for.
DEV void load_ranks(const float* RESTRICT x, u32 n, u64* r) {
  u32 first = (u32)block_y() * PART + (u32)tid();
  float v[PER_THREAD];
  UNROLL for (int j = 0; j < PER_THREAD; j++) {
    u32 i = first + j * THREADS;
    v[j] = x[i < n ? i : n - 1];
  }
  UNROLL for (int j = 0; j < PER_THREAD; j++) {
    u32 i = first + j * THREADS;
    r[j] = i < n ? rank_of(v[j], i) : 0;
  }
}

KERNEL(256) argmax_part(const float* RESTRICT x, u64* RESTRICT part, u32 n, u32 parts) {
  allow_launches();
  await_launches();
  LDS u64 best[THREADS / 32];
  u64 r[PER_THREAD];
  load_ranks(x + (u64)block_x() * n, n, r);
  UNROLL for (int j = 1; j < PER_THREAD; j++) r[0] = larger(r[0], r[j]);
  u64 top = block_larger(r[0], best);
  if (tid() == 0) part[(u64)block_x() * parts + block_y()] = top;
}

KERNEL(256) argmax_join(const float* RESTRICT x, const u64* RESTRICT part, int* RESTRICT ids, float* RESTRICT values, u32 n,
                        u32 parts) {
  LDS u64 best[THREADS / 32];
  u64 row = (u64)block_x(), r = 0;
  for (u32 i = (u32)tid(); i < parts; i += THREADS) r = larger(r, part[row * parts + i]);
  r = block_larger(r, best);
  if (tid() == 0) write_result(x + row * n, r, r, ids + row, values + row);
}

// compare_swap orders a pair of ranks in LDS, the larger first unless up.
DEV void compare_swap(u64* a, u64* b, bool up) {
  u64 x = *a, y = *b;
  bool swap = (x < y) != up;
  *a = swap ? y : x;
  *b = swap ? x : y;
}

// sort_step lets a wave order the pairs of a list that are `stride` apart. Runs of `run` ranks are to be in falling order and
// rising order by turns.
DEV void sort_step(u64* list, int run, int stride) {
  int i = 2 * stride * (lane() / stride) + lane() % stride;
  compare_swap(list + i, list + i + stride, (i & run & (LIST - 1)) != 0);
  wave_fence();
}

// keep_best moves the LIST largest of the PART ranks in LDS to its front, in falling order.
DEV void keep_best(u64* r) {
  barrier();
  NO_UNROLL for (int l = wave(); l < LISTS; l += THREADS / 32)
    NO_UNROLL for (int run = 2; run <= LIST; run *= 2)
      NO_UNROLL for (int stride = run / 2; stride > 0; stride /= 2) sort_step(r + l * LIST, run, stride);
  NO_UNROLL for (int half = LISTS / 2; half > 0; half /= 2) {
    barrier();
    NO_UNROLL for (int l = wave(); l < half; l += THREADS / 32) {
      // The larger of a falling list and a falling list backwards are the best of both, in one rise and one fall.
      u64 *a = r + l * LIST, *b = a + half * LIST;
      UNROLL for (int i = lane(); i < LIST; i += 32) a[i] = larger(a[i], b[LIST - 1 - i]);
      wave_fence();
      NO_UNROLL for (int stride = LIST / 2; stride > 0; stride /= 2) sort_step(a, LIST, stride);
    }
  }
  barrier();
}

KERNEL(256) top_k_part(const float* RESTRICT x, u64* RESTRICT part, u32 n, u32 parts, u32 k) {
  LDS u64 r[PART];
  u64 mine[PER_THREAD];
  load_ranks(x + (u64)block_x() * n, n, mine);
  UNROLL for (int j = 0; j < PER_THREAD; j++) r[tid() + j * THREADS] = mine[j];
  keep_best(r);
  if ((u32)tid() < k) part[((u64)block_x() * parts + (u32)block_y()) * k + tid()] = r[tid()];
}

KERNEL(256) top_k_join(const float* RESTRICT x, const u64* RESTRICT part, int* RESTRICT ids, float* RESTRICT values, u32 n,
                       u32 parts, u32 k) {
  LDS u64 r[PART];
  u64 row = (u64)block_x();
  u32 count = parts * k, kept = 0; // ranks of all parts; those at the front of r
  part += row * count;
  for (u32 at = 0; at < count; at += PART - kept, kept = LIST) {
    for (u32 i = kept + (u32)tid(); i < PART; i += THREADS) {
      u32 from = at + i - kept;
      r[i] = from < count ? part[from] : 0;
    }
    keep_best(r);
  }
  if ((u32)tid() < k) write_result(x + row * n, r[0], r[tid()], ids + row * k + tid(), values + row * k + tid());
}
