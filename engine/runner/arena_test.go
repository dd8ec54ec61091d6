package runner

import (
	"slices"
	"testing"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/models/synth"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/cpu"
	"github.com/hipengine/hipengine/tensor"
)

// TestPlansShareMemory plans eight sizes of steps of a model of 27 billion parameters on the CPU, and lets the arena
// of a runner grow for one after the other: it must end with the bytes of the largest, which is what PlanMemory says.
func TestPlansShareMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves plans of a large model to make long")
	}
	shape, err := synth.Lookup("27b")
	if err != nil {
		t.Fatal(err)
	}
	meta, err := shape.Meta(convert.Q4_K_M)
	if err != nil {
		t.Fatal(err)
	}
	infos, err := shape.Tensors(convert.Q4_K_M)
	if err != nil {
		t.Fatal(err)
	}
	src := &tiny.Source{Infos: map[string]gguf.TensorInfo{}}
	for _, info := range infos {
		src.Infos[info.Name] = info
	}
	m, err := models.New(meta)
	if err != nil {
		t.Fatal(err)
	}
	dev := cpu.New(cpu.Options{Threads: 1})
	defer dev.Close()
	o, err := Options{Context: 8192, Seqs: 4}.with(m.Params(), dev)
	if err != nil {
		t.Fatal(err)
	}
	w, _, err := models.DeclareWeights(m, src, dev)
	if err != nil {
		t.Fatal(err)
	}
	ts, _, err := stateTensors(m.State(), o, false)
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]tensor.Tensor{}
	for _, s := range ts {
		states[s.Name] = s
	}
	var arena ops.Arena
	defer arena.Free()
	var each []int64
	var sum int64
	steps := []models.Sizes{{Tokens: 1, Seqs: 1, Pages: 1, Rows: 1}, {Tokens: 4, Seqs: 4, Pages: 4, Rows: 4},
		{Tokens: 4, Seqs: 4, Pages: 256, Rows: 4}}
	for _, n := range []int{7, 32, 100, 256, 512} {
		steps = append(steps, models.Sizes{Tokens: n, Seqs: 4, Pages: 256, Rows: 4})
	}
	for _, k := range steps {
		all := k
		all.Rows = k.Tokens
		n, err := o.planBytes(dev.Caps(), m, w, states,
			[]planKey{{Sizes: k}, {Sizes: k, top: topOf(dev, m.Params().Vocab)},
				{Sizes: all, hidden: true}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := arena.Grow(dev, n); err != nil {
			t.Fatal(err)
		}
		each, sum = append(each, n), sum+n
	}
	mem, err := PlanMemory(dev, m, src, o)
	if err != nil {
		t.Fatal(err)
	}
	largest := slices.Max(each)
	t.Logf("plans of %d bytes: %d in all, an arena of %d, planned %d", each, sum, arena.Bytes(), mem.Plans)
	if arena.Bytes() != largest || mem.Plans != largest || sum < 3*largest/2 || largest < 64<<20 {
		t.Errorf("plans of %d bytes take an arena of %d, planned were %d", each, arena.Bytes(), mem.Plans)
	}
}
