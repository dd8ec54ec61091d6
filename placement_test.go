package hipengine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/cpu"
	"github.com/hipengine/hipengine/tensor"
)

// named is a CPU under another name, with so much memory.
type named struct {
	small
	name string
}

func (d *named) Info() ops.Info {
	i := d.small.Info()
	i.Name = d.name
	return i
}

// cards makes h open CPUs in place of GPUs, each with so much free memory.
func cards(h *Host, free map[string]int64) {
	h.opener.gpu = func(name string) (ops.Device, error) {
		n, ok := free[name]
		if !ok {
			return nil, fmt.Errorf("no %s", name)
		}
		return &named{small{cpu.New(cpu.Options{Threads: 1}), n}, name}, nil
	}
}

// TestSplit: Ember says on several devices what it says on one, however it lies there.
func TestSplit(t *testing.T) {
	question := "What is the capital of France?"
	one := newHost(t, HostOptions{Device: "cpu", Threads: 1})
	want, err := ask(t.Context(), openModel(t, one, Ember, Options{}), question, Params{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		device string
		o      Options
		says   []string // about where the model lies
	}{
		{"cpu,cpu", Options{Split: "layer"}, []string{"cpu: layers 0-3,", "cpu: layers 4-7,"}},
		{"cpu,emu:a,emu:b", Options{Layers: "cpu=2,emu:b=6"},
			[]string{"cpu: layers 0-1,", "emu:a: no layers", "emu:b: layers 2-7,"}},
		{"emu:a,cpu", Options{}, []string{"emu:a: layers 0-7,", "cpu: no layers"}},
		{"emu:b", Options{Device: "emu:a,emu:b", Split: "layer"}, []string{"emu:a: layers 0-3,", "emu:b: layers 4-7,"}},
	} {
		var said []string
		h := newHost(t, HostOptions{Device: c.device, Threads: 1, Log: func(s string) { said = append(said, s) }})
		cards(h, map[string]int64{"emu:a": 1 << 40, "emu:b": 1 << 40})
		m := openModel(t, h, Ember, c.o)
		if got, err := ask(t.Context(), m, question, Params{}); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", c.device, got, err, want)
		}
		if c.o.Device == "" && m.Device().Name != c.device {
			t.Errorf("%s: the model is on %s", c.device, m.Device().Name)
		}
		for _, line := range c.says {
			if !slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, "ember on "+line) }) {
				t.Errorf("%s %+v: no %q in %q", c.device, c.o, line, said)
			}
		}
	}
}

// TestAutoSplit: a card that holds half of a model gets what fits, and the rest goes to the CPU; both are promised what
// they have, and what fits nowhere is refused with the name of the device that is too small.
func TestAutoSplit(t *testing.T) {
	h := newHost(t, HostOptions{Device: "cpu", Threads: 1})
	f, err := OpenFile(Ember, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	whole, err := h.Fit(t.Context(), f, Options{Context: 512}, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	h = newHost(t, HostOptions{Device: "emu:a,cpu", Threads: 1})
	free := whole.Plans + (whole.Weights+whole.State)/2
	cards(h, map[string]int64{"emu:a": free})
	o := Options{Context: 512, PrefixCache: -1}
	fit, err := h.Fit(t.Context(), f, o, 0)
	if err != nil || !fit.Fits() || len(fit.Parts) != 2 {
		t.Fatalf("%+v, %v", fit, err)
	}
	card, rest := fit.Parts[0], fit.Parts[1]
	if card.Device != "emu:a" || card.Free != free || len(card.Layers) < 2 || len(rest.Layers) < 2 ||
		len(card.Layers)+len(rest.Layers) != 8 || card.Read == 0 || rest.Read == 0 {
		t.Errorf("%v; %v", card, rest)
	}
	m := openModel(t, h, Ember, o)
	for i, l := range m.on.ledgers() {
		s := l.snapshot()
		p := fit.Parts[1-i]
		if l.device != p.Device || s.Planned != p.Weights+p.State+p.Plans || s.Used != p.Weights+p.State {
			t.Errorf("%+v is promised %+v", p, s)
		}
	}
	if got, err := ask(t.Context(), m, "What is the capital of France?", Params{}); err != nil || got == "" {
		t.Errorf("%q, %v", got, err)
	}
	var lack *MemoryError
	_, err = h.Open(t.Context(), Ember, Options{Context: 4096, Sequences: 8, Layers: "emu:a=8,cpu=0"})
	if !errors.As(err, &lack) || lack.Device != "emu:a" || len(lack.Others) != 1 {
		t.Errorf("error %v", err)
	}
}

// TestSplitTensor: each of two devices has a share of every layer, and answers are those of one.
func TestSplitTensor(t *testing.T) {
	question := "What is the capital of France?"
	want, err := ask(t.Context(), openModel(t, newHost(t, HostOptions{Device: "cpu", Threads: 1}), Ember, Options{}),
		question, Params{})
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, HostOptions{Device: "cpu,cpu", Threads: 1})
	o := Options{Split: "tensor"}
	m := openModel(t, h, Ember, o)
	if got, err := ask(t.Context(), m, question, Params{}); err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	for _, p := range m.on.lies {
		if len(p.Layers) != 8 || p.Read == 0 || p.Read > 6<<20 {
			t.Errorf("%v: want all layers, and half of 10 MB read", p)
		}
	}
	f, err := OpenFile(Ember, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if fit, err := h.Fit(t.Context(), f, o, 0); err != nil || len(fit.Parts) != 2 || !fit.Fits() {
		t.Errorf("%+v, %v", fit, err)
	}
}

// TestSplitRefuses: options that do not go with the devices or with each other are errors that name them.
func TestSplitRefuses(t *testing.T) {
	for _, list := range []string{"cpu,auto", "cpu,", "tpu,cpu", strings.Repeat("cpu,", 64) + "cpu"} {
		if _, err := NewHost(HostOptions{Device: list}); !isOption(err, "Device") {
			t.Errorf("%q: %v", list, err)
		}
	}
	for _, c := range []struct {
		device, option string
		o              Options
	}{
		{"cpu", "Split", Options{Split: "layer"}},
		{"cpu", "Layers", Options{Layers: "cpu=8"}},
		{"cpu", "Experts", Options{Experts: "cpu"}},
		{"cpu,cpu", "Split", Options{Split: "rows"}},
		{"cpu,cpu", "Layers", Options{Layers: "cpu=4"}},
		{"cpu,cpu", "Layers", Options{Layers: "cpu=4,cpu=5"}},
		{"cpu,cpu", "Layers", Options{Layers: "cpu=9,cpu=-1"}},
		{"cpu,cpu", "Layers", Options{Layers: "cpu=2,cpu=2,cpu=4"}},
		{"cpu,cpu", "Layers", Options{Layers: "hip:0=8"}},
		{"cpu,cpu", "Layers", Options{Layers: "8"}},
		{"cpu,cpu", "Layers", Options{Layers: "cpu=4,cpu=4", Split: "layer"}},
		{"cpu,cpu", "Experts", Options{Experts: "hip:0"}},
		{"cpu", "Split", Options{Split: "tensor"}},
		{"cpu,cpu", "Experts", Options{Experts: "cpu", Split: "tensor"}},
		{"cpu,cpu,cpu,cpu,cpu", "Split", Options{Split: "tensor"}},
		{"cpu,cpu", "Device", Options{Device: "cpu,tpu"}},
	} {
		h := newHost(t, HostOptions{Device: c.device, Threads: 1})
		if _, err := h.Open(t.Context(), Ember, c.o); !isOption(err, c.option) {
			t.Errorf("%s, %+v: %v", c.device, c.o, err)
		}
	}
}

func isOption(err error, name string) bool {
	var e *OptionError
	return errors.As(err, &e) && e.Option == name
}

// TestFill: the fastest device gets what it holds; of a mixture, experts leave it before anything else does.
func TestFill(t *testing.T) {
	weight := func(name string, n int64, shape ...int) models.Sized {
		return models.Sized{Use: ops.WeightUse{Name: name, DType: tensor.F32, Shape: shape}, Bytes: n}
	}
	var sizes []models.Sized
	for l := range 4 {
		sizes = append(sizes, weight(fmt.Sprintf("blk.%d.attn_q.weight", l), 10, 2, 2),
			weight(fmt.Sprintf("blk.%d.ffn_up_exps.weight", l), 50, 2, 2, 2))
	}
	sizes = append(sizes, weight("token_embd.weight", 20, 2, 2), weight("output.weight", 20, 2, 2))
	p := &plotter{names: []string{"cpu", "hip:0"}, layers: 4, sizes: [][]models.Sized{sizes, sizes}, order: []int{1, 0},
		plans: make([]int64, 2), on: -1}
	for _, c := range []struct {
		card            int64
		layers, experts []int
	}{
		{400, []int{1, 1, 1, 1}, nil},
		{260, []int{1, 1, 1, 1}, nil},
		{250, []int{1, 1, 1, 1}, []int{1, 1, 1, 0}},
		{240, []int{1, 1, 1, 1}, []int{1, 1, 1, 0}},
		{60, []int{1, 1, 1, 1}, []int{0, 0, 0, 0}},
		{40, []int{1, 1, 0, 0}, []int{0, 0, 0, 0}},
	} {
		p.free = map[string]int64{"cpu": 1000, "hip:0": c.card}
		s := p.fill()
		if !slices.Equal(s.Layers, c.layers) || !slices.Equal(s.Experts, c.experts) || s.Input != 0 || s.Output != 1 {
			t.Errorf("card of %d: %+v, want layers %v, experts %v", c.card, s, c.layers, c.experts)
		}
	}
	p.on = 0
	if s := p.fill(); !slices.Equal(s.Experts, []int{0, 0, 0, 0}) {
		t.Errorf("experts were asked for on the CPU: %+v", s)
	}
	p.on = -1
	p.free = map[string]int64{"cpu": 300, "hip:0": 100}
	if s := p.even(); !slices.Equal(s.Layers, []int{0, 0, 0, 1}) || s.Input != 0 || s.Output != 1 {
		t.Errorf("by free memory: %+v", s)
	}
}

// failing is a card whose next run fails once it is told so, after it hung.
type failing struct {
	named
	fail chan struct{} // holds something: the next run waits for release and fails
	over chan struct{}
}

func (d *failing) Stream() (ops.Stream, error) {
	s, err := d.named.Stream()
	return &failingStream{s, d}, err
}

type failingStream struct {
	ops.Stream
	d *failing
}

func (s *failingStream) Run(p ops.Plan) error {
	select {
	case <-s.d.fail:
		<-s.d.over
		return errors.New("fell off the bus")
	default:
		return s.Stream.Run(p)
	}
}

// TestDeviceFails: a device that hangs in the middle of a step and then fails ends the answers of that step with an error
// that names it; those that come later go on.
func TestDeviceFails(t *testing.T) {
	h := newHost(t, HostOptions{Device: "emu:a,emu:b", Threads: 1})
	cards(h, map[string]int64{"emu:a": 1 << 40})
	d := &failing{named: named{small{cpu.New(cpu.Options{Threads: 1}), 1 << 40}, "emu:b"}, fail: make(chan struct{}, 1),
		over: make(chan struct{})}
	other := h.opener.gpu
	h.opener.gpu = func(name string) (ops.Device, error) {
		if name == "emu:b" {
			return d, nil
		}
		return other(name)
	}
	m := openModel(t, h, Ember, Options{Split: "layer", Sequences: 2})
	question := "What is the capital of France?"
	want, err := ask(t.Context(), m, question, Params{})
	if err != nil {
		t.Fatal(err)
	}
	d.fail <- struct{}{}
	time.AfterFunc(20*time.Millisecond, func() { close(d.over) })
	_, err = ask(t.Context(), m, question, Params{})
	var part interface{ DeviceFailed() string }
	if !errors.As(err, &part) || part.DeviceFailed() != "emu:b" || !strings.Contains(err.Error(), "fell off the bus") {
		t.Fatalf("error %v", err)
	}
	for range 2 {
		if got, err := ask(t.Context(), m, question, Params{}); err != nil || got != want {
			t.Errorf("after it: %q, %v, want %q", got, err, want)
		}
	}
}
