package runner

import (
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/place"
	"github.com/hipengine/hipengine/ops_ref/cpu"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// apart has experts on the second part, all else on the first.
var apart = place.Split{Layers: []int{0}, Experts: []int{1}}

// expertRunner returns a runner of a tiny model on two CPUs, with slots for so many experts of each layer; nil for a
// model without experts.
func expertRunner(t *testing.T, arch string, dt tensor.DType, slots int) *Runner {
	t.Helper()
	m, err := models.New(tiny.Meta(arch))
	if err != nil {
		t.Fatal(err)
	}
	src := tiny.Weights(m, dt, 7)
	if slots > 0 {
		if m, err = m.(models.ExpertCacher).CacheExperts(slots); err != nil {
			return nil
		}
	}
	devs := []ops.Device{cpu.New(cpu.Options{Threads: 1}), cpu.New(cpu.Options{Threads: 1})}
	dev, err := place.New(devs, apart.Place)
	if err != nil {
		t.Fatal(err)
	}
	w, err := models.LoadWeights(t.Context(), m, src, dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(dev, m, w, Options{Context: 128, Seqs: 2, Batch: 64})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		w.Free()
		dev.Close()
		for _, d := range devs {
			d.Close()
		}
	})
	return r
}

// expertLogits reads a prompt and then single tokens, and returns all logits.
func expertLogits(t *testing.T, r *Runner, tokens []int32) []float32 {
	t.Helper()
	id, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release(id)
	const prompt = 13
	var all []float32
	for at := 0; at < len(tokens); {
		n := 1
		if at == 0 {
			n = prompt
		}
		rows, err := r.Step(t.Context(), []Work{{Seq: id, Tokens: tokens[at : at+n], Rows: n}})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rows[0]...)
		at += n
	}
	return all
}

// TestExpertSlots: models with slots for some of their experts compute the bits of those without, whichever experts
// have them, where both devices compute alike; and slots are used.
func TestExpertSlots(t *testing.T) {
	tokens := make([]int32, 90)
	for i := range tokens {
		tokens[i] = int32(3 + i%2) // few experts
	}
	mixtures := 0
	for _, arch := range tiny.Archs {
		for _, dt := range []tensor.DType{tensor.F32, quant.Q8_0} {
			if testing.Short() && arch != "qwen35moe" && arch != "gpt-oss" || testing.Short() && dt != quant.Q8_0 {
				continue
			}
			got := expertRunner(t, arch, dt, 2)
			if got == nil {
				continue
			}
			mixtures++
			want := expertLogits(t, expertRunner(t, arch, dt, 0), tokens)
			for i, x := range expertLogits(t, got, tokens) {
				if math.Float32bits(x) != math.Float32bits(want[i]) {
					t.Errorf("%s %v: logit %d is %v, want %v", arch, dt, i, x, want[i])
					break
				}
			}
			u := got.ExpertUse()
			t.Logf("%s %v: %+v", arch, dt, u)
			if u.Slots == 0 || u.Choices == 0 || u.Hits == 0 || u.Hits >= u.Choices || u.Moved == 0 {
				t.Errorf("%s %v: %+v", arch, dt, u)
			}
		}
	}
	if mixtures < 2 {
		t.Errorf("%d models have experts", mixtures)
	}
}

// TestExpertUse: slots go to the experts that tokens choose, and to others when they choose those; meanwhile others may
// ask how they are used.
func TestExpertUse(t *testing.T) {
	r := expertRunner(t, "qwen35moe", quant.Q8_0, 2)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = r.ExpertUse()
			}
		}
	})
	defer wg.Wait()
	defer close(stop)
	for _, token := range []int32{3, 7} {
		expertLogits(t, r, slices.Repeat([]int32{token}, 100))
		before := r.ExpertUse()
		expertLogits(t, r, slices.Repeat([]int32{token}, 100))
		after := r.ExpertUse()
		// The same token chooses nearly the same experts, as many as there are slots.
		if hits, all := after.Hits-before.Hits, after.Choices-before.Choices; hits*10 < all*8 {
			t.Errorf("token %d: %d of %d choices met a slot", token, hits, all)
		}
	}
	if u := r.ExpertUse(); u.Moved == 0 {
		t.Errorf("%+v", u)
	}
	for i, l := range r.experts.layers { // what the runner knows is what the device has
		raw := make([]byte, 4*l.Experts)
		if err := r.stream.Download(raw, l.Table); err != nil {
			t.Fatal(err)
		}
		if err := r.stream.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		for e, slot := range l.slot {
			if got := int32(raw[4*e]) | int32(raw[4*e+1])<<8 | int32(raw[4*e+2])<<16 | int32(raw[4*e+3])<<24; got != slot ||
				slot >= 0 && l.held[slot] != int32(e) {
				t.Errorf("layer %d: expert %d has slot %d on the device, %d here", i, e, got, slot)
			}
		}
	}
}

// breaking is a stream whose uploads of copies of experts fail after a few.
type breaking struct {
	ops.Stream
	good int
}

func (b *breaking) Upload(dst tensor.Tensor, src []byte) error {
	if models.IsExpertSlots(dst.Name) {
		if b.good--; b.good < 0 {
			return errors.New("the cable is out")
		}
	}
	return b.Stream.Upload(dst, src)
}

// TestExpertCopyFails: after a copy failed, whatever it left in its slot, steps compute what they would without slots.
func TestExpertCopyFails(t *testing.T) {
	tokens := slices.Repeat([]int32{3, 7, 5}, 20)
	want := expertLogits(t, expertRunner(t, "qwen35moe", quant.Q8_0, 0), tokens)
	for good := range 4 { // stacks of an expert are three
		r := expertRunner(t, "qwen35moe", quant.Q8_0, 2)
		whole := r.stream
		r.stream = &breaking{whole, good}
		id, err := r.Open()
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; err == nil; n++ {
			if _, err = r.Step(t.Context(), []Work{{Seq: id, Tokens: []int32{3}, Rows: 1}}); n > 100 {
				t.Fatal("no copy was made")
			}
		}
		if !strings.Contains(err.Error(), "the cable is out") {
			t.Fatal(err)
		}
		r.Release(id)
		r.stream = whole
		for i, x := range expertLogits(t, r, tokens) {
			if math.Float32bits(x) != math.Float32bits(want[i]) {
				t.Fatalf("after %d uploads: logit %d is %v, want %v", good, i, x, want[i])
			}
		}
	}
}

// TestExpertGain: an expert that is chosen about as often as one with a slot leaves it that.
func TestExpertGain(t *testing.T) {
	l := layerExperts{ExpertSlots: models.ExpertSlots{Experts: 4, Slots: 2}, slot: []int32{1, -1, 0, -1},
		held: []int32{2, 0}, uses: []float64{50, 54, 10, 0}}
	c := &expertCache{layers: []layerExperts{l}}
	if layer, expert, slot := c.best(); layer != 0 || expert != 1 || slot != 0 {
		t.Errorf("layer %d, expert %d, slot %d", layer, expert, slot)
	}
	for _, uses := range [][]float64{{50, 44, 20, 24}, {0, 3, 0, 2}, {100, 140, 101, 112}} {
		c.layers[0].uses = uses
		if layer, expert, slot := c.best(); layer >= 0 {
			t.Errorf("%v: expert %d for slot %d", uses, expert, slot)
		}
	}
}
