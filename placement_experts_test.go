package hipengine

import (
	"math"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/testfiles"
)

// TestExpertCache: a mixture with copies of experts beside the CPU computes what it does without, to the bit where the
// devices compute alike; what the copies take is planned, promised and said, and the bounds of the flag are errors that
// name it.
func TestExpertCache(t *testing.T) {
	const kib = 1 << 10
	path := testfiles.Folder(t, "fixtures/qwen3next")
	var said []string
	h := newHost(t, HostOptions{Device: "emu:a,cpu", Threads: 1, Log: func(s string) { said = append(said, s) }})
	cards(h, map[string]int64{"emu:a": 64 << 20})
	o := Options{Context: 512, Experts: "cpu", KVType: "f32", Spec: SpecOff, PrefixCache: -1, Sequences: 2}
	f, err := OpenFile(path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	plain, err := h.Fit(t.Context(), f, o, 0)
	if err != nil {
		t.Fatal(err)
	}
	tokens := make([]int32, 60)
	for i := range tokens {
		tokens[i] = int32(3 + i%2) // few experts
	}
	run := func(o Options) (out [][]float32, m *Model) {
		m = openModel(t, h, path, o)
		for _, c := range []cut{{"prefill", []int{0}}, {"steps", []int{1, 3}}} {
			out = append(out, runBatch(t, m.runner, tokens, c.strides)...)
		}
		return out, m
	}
	want, m := run(o)
	if u := m.ExpertUse(); u.Slots != 0 || u.Choices != 0 {
		t.Errorf("without copies: %v", u)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}

	cached := o
	each := cacheUnit(t, h, f, o)
	cached.ExpertCache = 3*each - 1 // of two experts of each layer
	fit, err := h.Fit(t.Context(), f, cached, 0)
	if err != nil || len(fit.Parts) != 2 {
		t.Fatalf("%+v, %v", fit, err)
	}
	card, rest := fit.Parts[0], fit.Parts[1]
	if more := card.Weights - plain.Parts[0].Weights; card.Slots != 2 || more < 2*each || more > 2*each+16*kib ||
		rest.Read >= plain.Parts[1].Read || card.Read <= plain.Parts[0].Read {
		t.Errorf("%v, %v, without %v, %v; an expert takes %d", card, rest, plain.Parts[0], plain.Parts[1], each)
	}
	said = nil
	got, m := run(cached)
	for i := range want {
		for j, x := range got[i] {
			if math.Float32bits(x) != math.Float32bits(want[i][j]) {
				t.Fatalf("sequence %d: logit %d is %v, want %v", i, j, x, want[i][j])
			}
		}
	}
	if u := m.ExpertUse(); u.Hits == 0 || u.Hits >= u.Choices || u.Moved == 0 ||
		!strings.Contains(u.String(), " %) met one of ") {
		t.Errorf("%v", u)
	}
	if text := strings.Join(said, "\n"); !strings.Contains(text, "copies of 2 experts of each") {
		t.Errorf("loading said %q", text)
	}
	for i, l := range m.on.ledgers() { // cpu, emu:a
		if s, p := l.snapshot(), fit.Parts[1-i]; s.Planned != p.Weights+p.State+p.Plans || s.Used != p.Weights+p.State {
			t.Errorf("%+v is promised %+v", p, s)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}

	cached.ExpertCache = 1 << 40 // all experts
	if fit, err := h.Fit(t.Context(), f, cached, 0); err != nil || fit.Parts[1].Read != 0 && fit.Parts[0].Slots < 4 {
		t.Errorf("%+v, %v", fit, err)
	}
	for _, c := range []struct {
		text, model string
		o           Options
	}{
		{"ExpertCache -5 bytes are negative", path, Options{Experts: "cpu", ExpertCache: -5}},
		{"ExpertCache is for Experts, which is not given", path, Options{ExpertCache: 1 << 20}},
		{"ExpertCache is for Experts, which is not given", path, Options{Device: "cpu", ExpertCache: 1 << 20}},
		{"ExpertCache is for Experts, which is not given", path,
			Options{Device: "cpu,cpu", Split: "tensor", ExpertCache: 1 << 20}},
		{"experts are on emu:a, and only those of cpu", path, Options{Experts: "emu:a", ExpertCache: 1 << 20}},
		{"is less than one expert of each layer takes", path, Options{Experts: "cpu", ExpertCache: 1}},
		{"has no experts", Ember, Options{Experts: "cpu", ExpertCache: 1 << 20}},
		{"Invariant does not go with it", path, Options{Experts: "cpu", ExpertCache: 1 << 20, Invariant: true}},
		{"must see all of its experts", path, Options{Experts: "cpu", ExpertCache: 1 << 20, Collect: true}},
		{"Experts \"hip:0\" is none of the devices", path, Options{Experts: "hip:0", ExpertCache: 1 << 20}},
	} {
		if _, err := h.Open(t.Context(), c.model, c.o); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
	small := newHost(t, HostOptions{Device: "emu:a,cpu", Threads: 1})
	cards(small, map[string]int64{"emu:a": each})
	o.ExpertCache = 2 * each
	_, err = small.Open(t.Context(), path, o)
	if !isOption(err, "ExpertCache") || !strings.Contains(err.Error(), "is more than what is free on emu:a") {
		t.Errorf("a cache larger than the card: %v", err)
	}
}

// cacheUnit returns what one expert of each layer takes on the first device, as the error for less says it.
func cacheUnit(t *testing.T, h *Host, f *File, o Options) int64 {
	t.Helper()
	low, high := int64(1), int64(1<<30) // low is too little
	for high-low > 1 {
		o.ExpertCache = (low + high) / 2
		if _, err := h.Fit(t.Context(), f, o, 0); err != nil {
			low = o.ExpertCache
		} else {
			high = o.ExpertCache
		}
	}
	return high
}
