package hipengine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/models/synth"
)

// largeShape is a model whose weights are most of what it takes.
func largeShape(layers int) synth.Shape {
	return synth.Shape{Name: "large", Arch: "llama", Title: "Large", Pre: "llama-bpe", Vocab: 512, Keys: []synth.Key{
		{Name: "block_count", Value: uint32(layers)}, {Name: "context_length", Value: uint32(256)},
		{Name: "embedding_length", Value: uint32(512)}, {Name: "feed_forward_length", Value: uint32(2048)},
		{Name: "attention.head_count", Value: uint32(8)}, {Name: "attention.head_count_kv", Value: uint32(2)},
		{Name: "attention.layer_norm_rms_epsilon", Value: float32(1e-5)}, {Name: "rope.freq_base", Value: float32(10000)},
		{Name: "vocab_size", Value: uint32(512)}, {Name: "rope.dimension_count", Value: uint32(64)},
	}}
}

// anonymous returns the memory of the process that is not a file's, in bytes.
func anonymous(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "RssAnon: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	t.Fatal("no RssAnon in /proc/self/status")
	return 0
}

// TestMapped opens a model with less memory than its weights take, on the CPU and on two: it computes the same bits as
// with enough, says that it reads the file, and the process does not grow by the weights. With states on a disk, which
// need weights that were read, it is refused.
func TestMapped(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: it looks into /proc")
	}
	layers, name := 16, "q2_k"
	if testing.Short() {
		layers, name = 2, "q8_0" // is written sooner
	}
	path := filepath.Join(t.TempDir(), "large.gguf")
	typ, err := convert.ParseFType(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := synth.Write(t.Context(), largeShape(layers), path, synth.Options{Type: typ}); err != nil {
		t.Fatal(err)
	}
	ids := []int32{1, 2, 3, 500, 7, 8, 9}
	logits := func(m *Model) (all []float32) {
		err := m.Logits(t.Context(), ids, 3, func(rows []float32) error {
			all = append(all, rows...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	o := Options{PrefixCache: -1}
	whole := newHost(t, HostOptions{Device: "cpu", Threads: 1})
	f, err := OpenFile(path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fit, err := whole.Fit(t.Context(), f, o, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	m := openModel(t, whole, path, o)
	want := logits(m)
	if m.weights.Mapped() != 0 {
		t.Error("weights are mapped although there is memory for them")
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	limit := fit.State + fit.Plans + fit.Weights/4
	for _, device := range []string{"cpu", "cpu,cpu"} {
		var said []string
		h := newHost(t, HostOptions{Device: device, Threads: 1, Memory: limit,
			Log: func(s string) { said = append(said, s) }})
		runtime.GC()
		before := anonymous(t)
		m := openModel(t, h, path, o)
		got := logits(m)
		grown := anonymous(t) - before
		if !slices.Equal(got, want) {
			t.Errorf("%s: logits differ from those with enough memory", device)
		}
		if n := m.weights.Mapped(); n < fit.Weights/2 || m.Bytes() > limit {
			t.Errorf("%s: %d bytes are mapped, %d promised of %d", device, n, m.Bytes(), limit)
		}
		if !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, "stay in the file") }) {
			t.Errorf("%s: said %q", device, said)
		}
		t.Logf("%s: %.1f MiB of weights, limit %.1f, the process grew by %.1f", device, float64(fit.Weights)/(1<<20),
			float64(limit)/(1<<20), float64(grown)/(1<<20))
		if !testing.Short() && grown > fit.Weights {
			t.Errorf("%s: the process grew by %d bytes", device, grown)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		o := o
		o.PrefixCache, o.CacheDir = 0, t.TempDir()
		if _, err := h.Open(t.Context(), path, o); !errors.As(err, new(*MemoryError)) {
			t.Errorf("%s: with states on a disk: %v", device, err)
		}
	}
}
