// libamdhip64 for tests; see fake.h.
#include "fake.h"

int hipInit(unsigned flags) { return flags ? INVALID : OK; }
int hipRuntimeGetVersion(int *v) { *v = 60443483; return OK; }
int hipGetDeviceCount(int *n) { *n = 1; return OK; }
int hipSetDevice(int d) { have_device = d == 0; return d == 0 ? OK : NO_DEVICE; }
int hipDeviceGetPCIBusId(char *id, int len, int d) { strncpy(id, "0000:03:00.0", len); return d ? NO_DEVICE : OK; }

// The struct of ROCm 6: 1,472 bytes, all of them written.
int hipGetDevicePropertiesR0600(unsigned char *p, int d) {
  if (d) return NO_DEVICE;
  memset(p, 0xaa, 1472);
  strcpy((char *)p, "Fake RX 7900");
  *(uint64_t *)(p + 288) = TOTAL;
  *(int *)(p + 308) = 32;
  *(int *)(p + 348) = 2500000;
  *(int *)(p + 388) = 48;
  *(int *)(p + 396) = 0;
  *(int *)(p + 608) = 1249000;
  *(int *)(p + 612) = 384;
  strcpy((char *)p + 1160, "gfx1100");
  return OK;
}
// The struct of ROCm 5, which must not be asked for.
int hipGetDeviceProperties(unsigned char *p, int d) { strcpy((char *)p, "wrong struct"); return OK; }

const char *hipGetErrorName(int e) { return e == NO_MEMORY ? "hipErrorOutOfMemory" : e == ILLEGAL_ADDRESS ? "hipErrorIllegalAddress" : "hipErrorFake"; }
const char *hipGetErrorString(int e) { return e == NO_MEMORY ? "out of memory" : e == ILLEGAL_ADDRESS ? "an illegal memory access was encountered" : "fake error"; }

int hipMemGetInfo(size_t *f, size_t *t) { *f = TOTAL / 2; *t = TOTAL; return have_device ? OK : NO_DEVICE; }
int hipMalloc(void **p, size_t n) { return fake_malloc(p, n); }
int hipFree(void *p) { free(p); return OK; }
int hipHostMalloc(void **p, size_t n, unsigned flags) { return flags != 2 ? INVALID : fake_malloc(p, n); }
int hipHostFree(void *p) { free(p); return OK; }
int hipHostGetDevicePointer(void **d, void *h, unsigned flags) { *d = h; return flags ? INVALID : OK; }
int hipMemcpyAsync(void *dst, const void *src, size_t n, int kind, stream *s) { return kind != 1 && kind != 2 ? INVALID : fake_copy(dst, src, n, s); }
int hipMemcpyDtoDAsync(void *dst, void *src, size_t n, stream *s) { return fake_copy(dst, src, n, s); }
int hipMemcpyPeerAsync(void *dst, int to, const void *src, int from, size_t n, stream *s) { return to || from ? NO_DEVICE : fake_copy(dst, src, n, s); }
int hipMemsetAsync(void *dst, int v, size_t n, stream *s) { return fake_set(dst, v, n, s); }

int hipModuleLoadData(int **m, const char *image) { return memcmp(image, "\x7f" "ELF", 4) ? BAD_IMAGE : fake_module(m); }
int hipModuleUnload(int *m) { if (*m != MODULE) return INVALID; free(m); return OK; }
int hipModuleGetFunction(function **f, int *m, const char *name) { return fake_function(f, m, name); }
int hipModuleLaunchKernel(function *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, stream *s, void **params, void **extra) {
  return fake_launch(f, gx, gy, gz, bx, by, bz, shared, s, params, extra);
}

int hipStreamCreateWithFlags(stream **s, unsigned flags) { return fake_stream(s, flags); }
int hipStreamDestroy(stream *s) { return fake_close_stream(s); }
int hipStreamSynchronize(stream *s) { return fake_sync(s); }
int hipStreamBeginCapture(stream *s, int mode) { return fake_begin(s, mode); }
int hipStreamEndCapture(stream *s, graph **g) { return fake_end(s, g); }
int hipEventCreateWithFlags(int **e, unsigned flags) { return flags ? INVALID : fake_event(e); }
int hipEventDestroy(int *e) { int r = fake_event_use(e); free(e); return r; }
int hipEventRecord(int *e, stream *s) { return fake_sync(s) ? INVALID : fake_event_use(e); }
int hipStreamWaitEvent(stream *s, int *e, unsigned flags) { return fake_sync(s) || flags ? INVALID : fake_event_use(e); }
int hipEventSynchronize(int *e) { return fake_event_use(e); }
int hipEventElapsedTime(float *ms, int *a, int *b) { *ms = 1; return OK; }
int hipGraphInstantiate(graph **x, graph *g, void *node, char *log, size_t n) { return node || log || n ? INVALID : fake_instantiate(x, g); }
int hipGraphDestroy(graph *g) { return fake_graph_free(g, GRAPH); }
int hipGraphExecDestroy(graph *x) { return fake_graph_free(x, EXEC); }
int hipGraphLaunch(graph *x, stream *s) { return fake_graph_launch(x, s); }
