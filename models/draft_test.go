package models_test

import (
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
)

// laidOut is a device whose matrices are repacked sixteen rows at a time.
type laidOut struct{ ops.Device }

func (laidOut) Layout(u ops.WeightUse) tensor.Layout {
	n, err := tensor.Bytes(u.DType, u.Shape)
	if err != nil || len(u.Shape) < 2 || u.Shape.Rows()%16 != 0 {
		return tensor.Layout{}
	}
	return tensor.Layout{Name: "sixteen", Bytes: 2 * n, Rows: 16}
}

// TestFirstWeights takes the first rows of weights with and without a layout.
func TestFirstWeights(t *testing.T) {
	m, err := models.New(tiny.Meta("qwen35"))
	if err != nil {
		t.Fatal(err)
	}
	dev := opsref.New(opsref.Options{})
	defer dev.Close()
	for _, c := range []struct {
		layout bool
		name   string
		n      int
		err    string
	}{
		{false, "token_embd.weight", 17, ""},
		{false, "token_embd.weight", tiny.Vocab, ""},
		{false, "token_embd.weight", 0, `the first 0 of 96 elements of weight "token_embd.weight"`},
		{false, "token_embd.weight", 97, "the first 97 of 96"},
		{false, "output_norm.weight", 5, ""},
		{false, "other", 1, `weight "other" was not loaded`},
		{true, "token_embd.weight", 32, ""},
		{true, "token_embd.weight", tiny.Vocab, ""},
		{true, "token_embd.weight", 40, "16 rows lie together"},
		{true, "output_norm.weight", 5, ""},
	} {
		var on ops.Device = dev
		if c.layout {
			on = laidOut{dev}
		}
		w, _, err := models.DeclareWeights(m, tiny.Weights(m, tensor.F16, 1), on)
		if err != nil {
			t.Fatal(err)
		}
		g := &ops.Graph{}
		v := w.First(g, c.name, c.n)
		if c.err != "" {
			if g.Err() == nil || !strings.Contains(g.Err().Error(), c.err) {
				t.Errorf("%+v: error %v", c, g.Err())
			}
			continue
		}
		if g.Err() != nil {
			t.Errorf("%+v: %v", c, g.Err())
			continue
		}
		whole, part := w.Get(g, c.name).Node().Tensor, v.Node().Tensor
		if whole.Shape[0] < c.n || part.Shape[0] != c.n || part.Off != whole.Off || part.Layout.Name != whole.Layout.Name ||
			part.Layout.Bytes*int64(whole.Shape[0]) != whole.Layout.Bytes*int64(c.n) {
			t.Errorf("%+v: %+v of %+v", c, part, whole)
		}
	}
}

// TestFrequentTokens asks models of several vocabularies for cheap guesses.
func TestFrequentTokens(t *testing.T) {
	for vocab, want := range map[int]int{tiny.Vocab: 0, 131071: 0, 131072: 65536, 248320: 65536} {
		meta := tiny.Drafting("qwen35")
		if err := meta.Set("qwen35.vocab_size", uint32(vocab)); err != nil {
			t.Fatal(err)
		}
		m, err := models.New(meta)
		if err != nil {
			t.Fatal(err)
		}
		d, err := models.WithDrafts(m)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.FrequentTokens(); d.Params().Vocab != vocab || got != want {
			t.Errorf("%d of %d tokens, want %d of %d", got, d.Params().Vocab, want, vocab)
		}
	}
}
