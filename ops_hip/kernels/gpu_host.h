// The host variant of gpu.h, for tests that run kernels without a GPU: every GPU thread is a fiber of the
// process, a block at a time. testdata/host_main.cc schedules the fibers; LDS is a static array.
#pragma once

#define DEV static inline
#define LDS static __attribute__((aligned(16)))
#define TABLE static const
#define KERNEL(n) extern "C" void

struct host_gpu {
  int tid, block[3];
  int exchange[1024]; // one slot a thread, for shuffles
};
extern host_gpu host;
extern "C" void host_sync_block(); // returns when all threads of the block have called it
extern "C" void host_sync_wave();  // the same among the 32 threads of a wave

DEV int tid() { return host.tid; }
DEV int block_x() { return host.block[0]; }
DEV int block_y() { return host.block[1]; }
DEV int block_z() { return host.block[2]; }
DEV void barrier() { host_sync_block(); }
DEV void wave_fence() { host_sync_wave(); }
DEV int shfl(int x, int src) {
  int me = host.tid;
  host.exchange[me] = x;
  host_sync_wave();
  int y = host.exchange[(me & ~31) + (src & 31)];
  host_sync_wave();
  return y;
}
template <int M> DEV int shfl_xor(int x) { return shfl(x, (host.tid & 31) ^ M); }
DEV float exp2_approx(float x) { return __builtin_exp2f(x); }
DEV float log2_approx(float x) { return __builtin_log2f(x); }
DEV float rcp(float x) { return 1.0f / x; }
DEV float rsqrt(float x) { return 1.0f / __builtin_sqrtf(x); }
DEV int dot4(u32 a, u32 b, int c) {
  for (int i = 0; i < 32; i += 8) c += (i8)(a >> i) * (i8)(b >> i);
  return c;
}
DEV int dot4_us(u32 a, u32 b, int c) {
  for (int i = 0; i < 32; i += 8) c += (u8)(a >> i) * (i8)(b >> i);
  return c;
}
DEV u32 lut16(u32x4 table, u32 index) {
  u32 y = 0;
  for (int i = 0; i < 32; i += 8) y |= (table[index >> (i + 2) & 3] >> 8 * (index >> i & 3) & 255) << i;
  return y;
}
DEV int atomic_add(int* p, int x) { return (*p += x) - x; }
DEV float pin(float x) {
  volatile float y = x;
  return y;
}
