package bench

import (
	"math"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/ember"
	"github.com/hipengine/hipengine/models"
	_ "github.com/hipengine/hipengine/models/arch/all"
	"github.com/hipengine/hipengine/tensor"
	_ "github.com/hipengine/hipengine/tensor/quant"
)

// TestTraffic: Ember's embedding is its output, so that a step reads the whole file.
func TestTraffic(t *testing.T) {
	src, err := ember.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	m, err := models.New(src.Meta)
	if err != nil {
		t.Fatal(err)
	}
	var want float64
	for _, i := range src.Tensors {
		if !strings.HasPrefix(i.Name, "blk.8.") { // a layer for drafts
			want += float64(i.Size)
		}
	}
	tr, err := NewTraffic(m, src.Meta, src.Tensors, tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	if tr.dense != want || tr.experts != 0 || tr.state == 0 || tr.perToken == 0 {
		t.Errorf("traffic %+v, weights of %v bytes", tr, want)
	}
	if half, err := NewTraffic(m, src.Meta, src.Tensors, tensor.F16); err != nil || half.perToken != tr.perToken/2 {
		t.Errorf("F16: %v bytes for each token, %v; F32: %v", half.perToken, err, tr.perToken)
	}
	moe := Traffic{dense: 10, experts: 64, all: 4, used: 2}
	for seqs, want := range map[int]float64{1: 10 + 32, 2: 10 + 48} {
		if got := moe.Step(seqs, 0); math.Abs(got-want) > 1e-9 {
			t.Errorf("%d sequences read %v, want %v", seqs, got, want)
		}
	}
}
