package conformance_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models"
	_ "github.com/hipengine/hipengine/models/arch/all"
	opsref "github.com/hipengine/hipengine/ops_ref"
)

func readFloats(t *testing.T, path string) []float32 {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return floats(b)
}

// floats decodes little-endian float32.
func floats(b []byte) []float32 {
	x := make([]float32, len(b)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}

// open loads a GGUF file on the scalar reference.
func open(t *testing.T, path string, o runner.Options) *runner.Runner {
	t.Helper()
	r, _ := openTapped(t, path, o)
	return r
}

// openTapped is open with a view into the decisions of routers.
func openTapped(t *testing.T, path string, o runner.Options) (*runner.Runner, *routerTap) {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := models.New(f.Meta)
	if err != nil {
		t.Fatal(err)
	}
	routers := &routerTap{}
	dev := routers.device(opsref.New(opsref.Options{Threads: 1}))
	t.Cleanup(func() { dev.Close() })
	w, err := models.LoadWeights(t.Context(), m, f, dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	if size := f.Parts[0].Size; float64(w.Bytes()) > 1.06*float64(size) {
		t.Errorf("weights take %d bytes for a file of %d", w.Bytes(), size)
	}
	r, err := runner.New(dev, m, w, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, routers
}

// logits runs ids through a new sequence in chunks and returns the logits of every position.
func logits(t *testing.T, r *runner.Runner, ids []int32, chunk int) []float32 {
	t.Helper()
	id, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release(id)
	var all []float32
	for len(ids) > 0 {
		n := min(chunk, len(ids))
		rows, err := r.Step(t.Context(), []runner.Work{{Seq: id, Tokens: ids[:n], Rows: n}})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rows[0]...)
		ids = ids[n:]
	}
	return all
}

var emberFiles = map[string]string{
	"Q8_0":   "../internal/ember/ember-Q8_0.gguf",
	"Q4_K_M": "../testdata/ember/ember-Q4_K_M.gguf",
}

// TestEmberLogits checks the whole path from file to logits against logits computed exactly from the file's
// dequantized weights, however the prompt is cut into steps.
func TestEmberLogits(t *testing.T) {
	t.Parallel()
	prompts := testfiles.EmberPrompts(t)
	for typ, path := range emberFiles {
		r := open(t, path, runner.Options{})
		for _, i := range []int{0, 2, 4} {
			if i > 0 && testing.Short() {
				t.Logf("SKIPPED: -short leaves long prompts to make long: prompt %d", i)
				continue
			}
			name := fmt.Sprintf("ember-%s.logits_%d.f32", typ, i)
			chunks := []int{7, 512, 1}
			if testing.Short() {
				t.Log("SKIPPED: -short leaves two of three ways to cut prompts to make long")
				chunks = chunks[:1]
			}
			for _, chunk := range chunks {
				t.Run(fmt.Sprintf("%s/prompt%d/chunk%d", typ, i, chunk), func(t *testing.T) {
					file := testfiles.Path(t, "builtin-model/"+name)
					l, err := conformance.CompareLogits(readFloats(t, file), logits(t, r, prompts[i].IDs, chunk),
						r.Limits().Vocab)
					if err != nil {
						t.Fatal(err)
					}
					t.Log(l)
					if !(l.WorstKL < 1e-9) || l.Top1 < 1-1e-9 {
						t.Errorf("want worst KL < 1e-9 and top-1 100 %%: %v", l)
					}
				})
			}
		}
	}
}
