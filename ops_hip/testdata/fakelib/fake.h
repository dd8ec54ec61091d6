// A GPU runtime in C that computes on the CPU, at once: what fake_hip.c and fake_cuda.c share. It stands for the real
// libraries in tests of the binding, and fails where a real one would: calls from a thread without a device, launches
// with packed arguments, handles that are not what they should be.
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, INVALID = 1, NO_MEMORY = 2, NO_DEVICE = 101, BAD_IMAGE = 200, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700 };

#define TOTAL ((size_t)16 << 30)

typedef void (*kernel)(const unsigned char *args, unsigned blocks);
typedef struct { unsigned magic; kernel run; unsigned threads; const char *sizes; } function; // of parameters, a digit each
typedef struct { kernel run; unsigned char args[256]; unsigned blocks; } launch;
typedef struct { unsigned magic; launch list[256]; int n; } graph;
typedef struct { unsigned magic; graph *capture; int error; } stream;

enum { FUNCTION = 0xf1, STREAM = 0x57, GRAPH = 0x6a, EXEC = 0xe8, EVENT = 0xee, MODULE = 0x30 };

static __thread int have_device; // chosen on this thread

static float *f32s(const unsigned char *a, int at) { float *p; memcpy(&p, a + at, 8); return p; }
static unsigned u32(const unsigned char *a, int at) { unsigned v; memcpy(&v, a + at, 4); return v; }
static float f32(const unsigned char *a, int at) { float v; memcpy(&v, a + at, 4); return v; }

static void add(const unsigned char *a, unsigned blocks) {
  float *x = f32s(a, 0), *y = f32s(a, 8), *out = f32s(a, 16);
  unsigned n = u32(a, 24), m = u32(a, 28);
  for (unsigned i = 0; i < n && i < blocks * 256; i++) out[i] = x[i] + y[i % m];
}
static void scale(const unsigned char *a, unsigned blocks) {
  float *x = f32s(a, 8), *out = f32s(a, 24);
  unsigned n = u32(a, 16);
  for (unsigned i = 0; i < n && i < blocks * 256; i++) out[i] = f32(a, 0) * x[i];
}
static void rms_sums(const unsigned char *a, unsigned blocks) {
  float *x = f32s(a, 0), *sums = f32s(a, 8);
  unsigned n = u32(a, 16);
  for (unsigned r = 0; r < blocks; r++) {
    sums[r] = 0;
    for (unsigned i = 0; i < n; i++) sums[r] += x[r * n + i] * x[r * n + i];
  }
}
static void rms_apply(const unsigned char *a, unsigned blocks) {
  float *x = f32s(a, 0), *w = f32s(a, 8), *sums = f32s(a, 16), *out = f32s(a, 24), eps = f32(a, 36);
  unsigned n = u32(a, 32);
  for (unsigned r = 0; r < blocks; r++)
    for (unsigned i = 0; i < n; i++) out[r * n + i] = x[r * n + i] / sqrtf(sums[r] / n + eps) * w[i];
}

static function functions[] = {{FUNCTION, add, 256, "88844"}, {FUNCTION, scale, 256, "4848"}, {FUNCTION, rms_sums, 128, "884"}, {FUNCTION, rms_apply, 128, "888844"}};
static const char *names[] = {"test_add", "test_scale", "test_rms_sums", "test_rms_apply"};

static int fake_malloc(void **p, size_t n) {
  if (!have_device || n == 0) return NO_DEVICE;
  if (n > TOTAL) return NO_MEMORY;
  *p = malloc(n);
  memset(*p, 0xff, n); // nobody may count on zeros
  return OK;
}

static int fake_function(function **f, int *module, const char *name) {
  if (!module || *module != MODULE) return INVALID;
  for (int i = 0; i < 4; i++)
    if (!strcmp(names[i], name)) {
      *f = &functions[i];
      return OK;
    }
  return NOT_FOUND;
}

static int fake_module(int **m) {
  if (!have_device) return NO_DEVICE;
  *m = malloc(sizeof **m);
  **m = MODULE;
  return OK;
}

static int fake_launch(function *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                       stream *s, void **params, void **extra) {
  if (!have_device) return NO_DEVICE;
  if (!f || f->magic != FUNCTION || !s || s->magic != STREAM || !params || extra || shared || gy != 1 || gz != 1 || by != 1 || bz != 1 || bx != f->threads) return INVALID;
  launch l = {f->run, {0}, gx};
  size_t at = 0;
  for (const char *c = f->sizes; *c; c++) { // as the compilers lay them out
    size_t n = *c - '0';
    at = (at + n - 1) / n * n;
    memcpy(l.args + at, *params++, n);
    at += n;
  }
  if (s->capture) {
    if (s->capture->n == 256) return INVALID;
    s->capture->list[s->capture->n++] = l;
    return OK;
  }
  if (f->run == scale && !f32s(l.args, 24)) s->error = ILLEGAL_ADDRESS;
  if (!s->error) l.run(l.args, l.blocks);
  return OK; // asynchronous: the error comes with a later call
}

static int fake_stream(stream **s, unsigned flags) {
  if (!have_device || flags != 1) return NO_DEVICE;
  *s = calloc(1, sizeof **s);
  (*s)->magic = STREAM;
  return OK;
}
static int fake_close_stream(stream *s) {
  if (!s || s->magic != STREAM || s->capture) return INVALID;
  s->magic = 0;
  return OK;
}
static int fake_sync(stream *s) { return !s || s->magic != STREAM || s->capture ? INVALID : s->error; }

static int fake_copy(void *dst, const void *src, size_t n, stream *s) {
  if (!have_device) return NO_DEVICE;
  if (!s || s->magic != STREAM || s->capture) return INVALID;
  if (!s->error) memcpy(dst, src, n);
  return s->error;
}
static int fake_set(void *dst, int v, size_t n, stream *s) {
  if (!s || s->magic != STREAM || s->capture) return INVALID;
  memset(dst, v, n);
  return OK;
}

static int fake_begin(stream *s, int mode) {
  if (!s || s->magic != STREAM || s->capture || mode != 1) return INVALID;
  s->capture = calloc(1, sizeof(graph));
  s->capture->magic = GRAPH;
  return OK;
}
static int fake_end(stream *s, graph **g) {
  if (!s || s->magic != STREAM || !s->capture) return INVALID;
  *g = s->capture;
  s->capture = 0;
  return OK;
}
static int fake_instantiate(graph **exec, graph *g) {
  if (!g || g->magic != GRAPH) return INVALID;
  *exec = malloc(sizeof **exec);
  **exec = *g;
  (*exec)->magic = EXEC;
  return OK;
}
static int fake_graph_launch(graph *exec, stream *s) {
  if (!exec || exec->magic != EXEC || !s || s->magic != STREAM) return INVALID;
  for (int i = 0; i < exec->n; i++) exec->list[i].run(exec->list[i].args, exec->list[i].blocks);
  return OK;
}
static int fake_graph_free(graph *g, unsigned magic) {
  if (!g || g->magic != magic) return INVALID;
  free(g);
  return OK;
}

static int fake_event(int **e) {
  if (!have_device) return NO_DEVICE;
  *e = malloc(sizeof **e);
  **e = EVENT;
  return OK;
}
static int fake_event_use(int *e) { return !e || *e != EVENT ? INVALID : OK; }
