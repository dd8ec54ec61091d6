package opship

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/ember"
	"github.com/hipengine/hipengine/models"
	_ "github.com/hipengine/hipengine/models/arch/all"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/fakert"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// weightsOnly is a model that has weights and does nothing.
type weightsOnly []models.WeightSpec

func (m weightsOnly) Params() models.Hparams       { return models.Hparams{Arch: "test"} }
func (m weightsOnly) Weights() []models.WeightSpec { return m }
func (m weightsOnly) State() kv.Spec               { return kv.Spec{} }
func (m weightsOnly) Build(*ops.Graph, models.Weights, models.Batch) models.Outputs {
	return models.Outputs{}
}

// memorySource is tensors in memory. before, where set, is called before each read.
type memorySource struct {
	info   map[string]gguf.TensorInfo
	data   map[string][]byte
	before func(name string, off int64) error
}

func (s *memorySource) Tensor(name string) (gguf.TensorInfo, bool) {
	i, ok := s.info[name]
	return i, ok
}

func (s *memorySource) ReadTensor(t gguf.TensorInfo, p []byte, off int64) error {
	if s.before != nil {
		if err := s.before(t.Name, off); err != nil {
			return err
		}
	}
	copy(p, s.data[t.Name][off:])
	return nil
}

// loadCase is a model of a small tensor, one of many pieces that is repacked, one that is not, and a stack of two.
func loadCase() (weightsOnly, *memorySource) {
	s := &memorySource{info: map[string]gguf.TensorInfo{}, data: map[string][]byte{}}
	add := func(name string, dt tensor.DType, shape ...int) {
		n, _ := tensor.Bytes(dt, shape)
		f, _ := dt.Format()
		s.data[name] = randomBlocks(int(n)/f.Bytes, f.Bytes)
		s.info[name] = gguf.TensorInfo{Name: name, DType: dt, Shape: shape, Size: n}
	}
	m := weightsOnly{
		{Name: "norm", Shape: tensor.Shape{300}, Vector: true},
		{Name: "packed", Shape: tensor.Shape{9000, 4096}},
		{Name: "plain", Shape: tensor.Shape{1000, 4097}},
		{Name: "experts", Shape: tensor.Shape{2, 7, 512}, Stack: "expert.%d"},
	}
	add("norm", tensor.F32, 300)
	add("packed", quant.Q6_K, 9000, 4096)
	add("plain", tensor.F16, 1000, 4097)
	add("expert.0", quant.Q4_K, 7, 512)
	add("expert.1", quant.Q4_K, 7, 512)
	return m, s
}

// TestLoad checks the bytes that LoadWeights leaves on a device, what it needs of host memory, and that transfers and
// reading overlap: nothing waits before the ring is full.
func TestLoad(t *testing.T) {
	m, src := loadCase()
	d, rt := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	rt.Calls()
	var steps []int64
	var total int64
	w, err := models.LoadWeights(t.Context(), m, src, d, func(done, all int64) {
		steps, total = append(steps, done), all
	})
	must(t, err)
	calls := rt.Calls()
	defer closing(t, w.Free)
	if !slices.IsSorted(steps) || steps[len(steps)-1] != total || len(steps) < 10 || total != w.Bytes() {
		t.Errorf("progress %v of %d, the weights are %d", steps, total, w.Bytes())
	}
	first := slices.Index(calls, "SyncEvent")
	copies := 0
	for _, c := range calls[:max(first, 0)] {
		if c == "CopyToDevice" {
			copies++
		}
	}
	if first < 0 || copies < slotCount {
		t.Errorf("the first wait comes after %d copies, the ring has %d slots: %v", copies, slotCount,
			calls[:max(first, 0)])
	}
	if n := count(calls, "HostAlloc"); n > slotCount {
		t.Errorf("%d pieces of pinned memory for %d slots", n, slotCount)
	}
	g := &ops.Graph{}
	for name, from := range map[string][]string{"norm": {"norm"}, "packed": {"packed"}, "plain": {"plain"},
		"experts": {"expert.0", "expert.1"}} {
		place := w.Get(g, name).Node().Tensor
		var file []byte
		for _, f := range from {
			file = append(file, src.data[f]...)
		}
		want := file
		if l, ok := layouts[place.DType]; ok {
			n, err := ops.WeightBytes(place)
			must(t, err)
			want = make([]byte, n)
			l.repackRows(want, file, place.Shape.Last())
		}
		addr, err := d.address(place, int64(len(want)))
		must(t, err)
		if !bytes.Equal(rt.Bytes(addr, len(want)), want) {
			t.Errorf("%s: %d bytes differ", name, len(want))
		}
	}
}

func count(calls []string, name string) int {
	n := 0
	for _, c := range calls {
		if c == name {
			n++
		}
	}
	return n
}

// TestLoadFails breaks off in the middle of a tensor. The error names it, and everything is released.
func TestLoadFails(t *testing.T) {
	m, whole := loadCase()
	stuck := errors.New("stuck")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	middle := func(act func() error) func(*fakert.Runtime, *memorySource) {
		return func(_ *fakert.Runtime, s *memorySource) {
			s.before = func(name string, off int64) error {
				if name == "packed" && off > 8<<20 {
					return act()
				}
				return nil
			}
		}
	}
	for _, c := range []struct {
		name  string
		spoil func(*fakert.Runtime, *memorySource)
		want  error
		say   string
	}{
		{"a read fails", middle(func() error { return stuck }), stuck, `tensor "packed"`},
		{"cancelled", middle(func() error { cancel(); return nil }), context.Canceled, `tensor "packed"`},
		{"a copy fails", func(rt *fakert.Runtime, _ *memorySource) {
			rt.Fail["CopyToDevice"] = append(make([]error, 6), stuck)
		}, stuck, `tensor "packed"`},
		{"the last wait fails", func(rt *fakert.Runtime, _ *memorySource) {
			rt.Fail["SyncStream"] = []error{nil, stuck} // the first clears memory
		}, stuck, "stuck"},
		{"no memory", func(rt *fakert.Runtime, _ *memorySource) { rt.Limit = 1 << 20 }, ops.ErrOutOfMemory,
			"of weights"},
		{"no pinned memory", func(rt *fakert.Runtime, _ *memorySource) {
			rt.Fail["HostAlloc"] = []error{nil, stuck}
		}, stuck, `tensor "packed"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := *whole
			d, rt := fakeDevice(t, Options{})
			live := rt.Live()
			c.spoil(rt, &src)
			_, err := models.LoadWeights(ctx, m, &src, d, nil)
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			wantError(t, err, c.say)
			if n := rt.Live(); n != live || d.Used() != 0 {
				t.Errorf("%d runtime objects and %d bytes were not released", n-live, d.Used())
			}
			closing(t, d.Close)
		})
		if ctx.Err() != nil {
			ctx = t.Context()
		}
	}
}

// TestModelDoesNotFit plans a model for a GPU with little memory: the error says what is missing, and nothing has been
// allocated.
func TestModelDoesNotFit(t *testing.T) {
	f, err := ember.Open()
	must(t, err)
	defer closing(t, f.Close)
	m, err := models.New(f.Meta)
	must(t, err)
	rt := fakert.New("gfx1100", nil)
	d, err := openOn(rt, "hip:0", 0, Options{CodeObjects: objectDir(t)}) // with the kernels of the product
	must(t, err)
	defer closing(t, d.Close)
	o := runner.Options{Context: 1024}
	rt.Limit = 1 << 40
	full, err := runner.PlanMemory(d, m, f, o)
	must(t, err)
	if full.Err() != nil || full.Weights < 1<<20 || full.State < 1<<10 || full.Plans < 1<<10 {
		t.Fatalf("%v: %v", full, full.Err())
	}
	for _, c := range []struct {
		name string
		free int64
		want string
	}{
		{"a little", full.Need() - 1, "fits"},
		{"weights", full.Weights / 2, "the weights alone do not fit"},
	} {
		rt.Limit = c.free
		rt.Calls()
		mem, err := runner.PlanMemory(d, m, f, o)
		must(t, err)
		wantError(t, mem.Err(), "does not fit on hip:0", "weights", "state", "plans", "is free", "too little", c.want)
		if calls := rt.Calls(); count(calls, "Malloc") != 0 || count(calls, "HostAlloc") != 0 {
			t.Errorf("%s: planning allocates: %v", c.name, calls)
		}
	}
}
