// y[i] = the sum of x[i] over all ranks, in their order; x, y of [n] floats, n a multiple of 4. Each rank of a group of up
// to 8 devices launches it, all in the same order and with the same sizes.
// Shape: blocks of 256 threads on a grid of at most 64, so that all run at once. Block b of all ranks deals with the same
// pieces of x: it writes its own into the boxes of the others, says so there, waits for theirs in its own box, and adds.
// Pieces use the two halves of a box by turns: who has all of one piece knows that all others are done with the piece
// before it. Float arithmetic. No LDS. Launched by all_reduce.go, which lays out the boxes.
#include "gpu.h"

#define GLOBAL __attribute__((address_space(1)))

enum {
  max_ranks = 8,
  max_blocks = 64,
  piece_floats = 4096,        // of a block
  epochs_at = 256,            // u32 [max_blocks]: pieces that a block has dealt with; before them, u64 [max_ranks]: the boxes
  flags_at = 4096,            // u32 [max_ranks][max_blocks], 64 bytes apart: pieces that are there from a rank
  flag_bytes = 64,
  pieces_at = 65536,          // float [2][ranks][max_blocks][piece_floats]
  patience = 1 << 26,         // looks at a flag before the peer is given up
};

#if GPU_AMD
DEV void system_release() { __builtin_amdgcn_fence(__ATOMIC_RELEASE, ""); }
DEV void system_acquire() { __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, ""); }
DEV void put_flag(GLOBAL u32* p, u32 x) { __hip_atomic_store(p, x, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_SYSTEM); }
DEV u32 get_flag(GLOBAL u32* p) { return __hip_atomic_load(p, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_SYSTEM); }
DEV f32x4 arrived(const GLOBAL f32x4* p) { return *p; } // in memory that no cache of the device keeps
DEV void rest() { __builtin_amdgcn_s_sleep(1); }
DEV void give_up() { __asm__ volatile("s_trap 2"); }
#else
DEV void system_release() { __asm__ volatile("fence.acq_rel.sys;" ::: "memory"); }
DEV void system_acquire() { system_release(); }
DEV void put_flag(GLOBAL u32* p, u32 x) { __asm__ volatile("st.relaxed.sys.global.u32 [%0], %1;" ::"l"(p), "r"(x) : "memory"); }
DEV u32 get_flag(GLOBAL u32* p) {
  u32 x;
  __asm__ volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(x) : "l"(p) : "memory");
  return x;
}
DEV f32x4 arrived(const GLOBAL f32x4* p) {
  f32x4 v;
  __asm__ volatile("ld.volatile.global.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v[0]), "=f"(v[1]), "=f"(v[2]), "=f"(v[3]) : "l"(p) : "memory");
  return v;
}
DEV void rest() {}
DEV void give_up() { __asm__ volatile("trap;"); }
#endif

DEV GLOBAL u8* box_of(const u8* own, u32 rank) { return (GLOBAL u8*)((const u64*)own)[rank]; }
DEV GLOBAL u32* flag_in(GLOBAL u8* box, u32 rank, u32 block) {
  return (GLOBAL u32*)(box + flags_at + (rank * max_blocks + block) * flag_bytes);
}
DEV GLOBAL f32x4* piece_in(GLOBAL u8* box, u32 epoch, u32 ranks, u32 rank, u32 block) {
  return (GLOBAL f32x4*)(box + pieces_at + (u64)(((epoch & 1) * ranks + rank) * max_blocks + block) * (piece_floats * 4));
}

enum { each = piece_floats / 4 / 256 }; // vectors of a thread

KERNEL(256) all_reduce_f32(const float* RESTRICT x, float* RESTRICT y, u8* own, u32 n, u32 rank, u32 ranks, u32 blocks, u32 piece) {
  const u32 block = (u32)block_x(), t = (u32)tid();
  u32* epochs = (u32*)(own + epochs_at);
  GLOBAL u8* box = (GLOBAL u8*)own;
  u32 epoch = epochs[block];
  for (u32 at = block * piece; at < n; at += blocks * piece) {
    epoch++;
    const u32 vectors = (n - at < piece ? n - at : piece) / 4;
    const f32x4* from = (const f32x4*)(x + at);
    f32x4 mine[each] = {}, sum[each] = {};
    UNROLL for (u32 i = 0; i < each; i++)
      if (t + 256 * i < vectors) mine[i] = from[t + 256 * i];
    for (u32 r = 0; r < ranks; r++) {
      if (r == rank) continue;
      GLOBAL f32x4* there = piece_in(box_of(own, r), epoch, ranks, rank, block);
      UNROLL for (u32 i = 0; i < each; i++)
        if (t + 256 * i < vectors) there[t + 256 * i] = mine[i];
    }
    system_release();
    barrier();
    if (t < ranks && t != rank) {
      put_flag(flag_in(box_of(own, t), rank, block), epoch);
      GLOBAL u32* flag = flag_in(box, t, block);
      for (u32 looks = 0; (int)(get_flag(flag) - epoch) < 0; looks++) {
        rest();
        if (looks == patience) give_up();
      }
    }
    barrier();
    system_acquire();
    for (u32 r = 0; r < ranks; r++) {
      const GLOBAL f32x4* there = piece_in(box, epoch, ranks, r, block);
      UNROLL for (u32 i = 0; i < each; i++) {
        f32x4 v = mine[i];
        if (r != rank && t + 256 * i < vectors) v = arrived(there + t + 256 * i);
        sum[i] = r == 0 ? v : sum[i] + v;
      }
    }
    f32x4* to = (f32x4*)(y + at);
    UNROLL for (u32 i = 0; i < each; i++)
      if (t + 256 * i < vectors) to[t + 256 * i] = sum[i];
  }
  barrier();
  if (t == 0) epochs[block] = epoch;
}
