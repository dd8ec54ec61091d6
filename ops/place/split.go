package place

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hipengine/hipengine/ops"
)

// Split is a placement by layers.
type Split struct {
	Layers  []int // the part of each layer
	Input   int   // the part of matrices before the first layer, such as the token embedding
	Output  int   // that of the matrix behind the last one, also if the token embedding is the same
	Experts []int // the part of the experts' matrices of each layer; nil: that of the layer
}

// Place is the [Placement]. Vectors of the model as a whole, such as rotary frequencies, which layers of all parts read,
// are everywhere. Layers behind the last that is listed are with that.
func (s Split) Place(u ops.WeightUse, kind ops.MemKind) int {
	layer := LayerOf(u.Name)
	of := func(list []int) int { return list[min(layer, len(list)-1)] }
	switch {
	case layer >= 0 && kind == ops.MemWeights && len(s.Experts) > 0 && IsExperts(u):
		return of(s.Experts)
	case layer >= 0 && len(s.Layers) > 0:
		return of(s.Layers)
	case kind == ops.MemWeights && len(u.Shape) < 2:
		return Everywhere
	}
	if strings.HasPrefix(u.Name, "output") ||
		strings.HasPrefix(u.Name, "token_embd") && slices.Contains(u.Ops, ops.MulMatOp) {
		return s.Output
	}
	return s.Input
}

// LayerOf returns the layer of a tensor that is called blk.N. and something, or -1.
func LayerOf(name string) int {
	rest, ok := strings.CutPrefix(name, "blk.")
	number, _, dot := strings.Cut(rest, ".")
	n, err := strconv.Atoi(number)
	if !ok || !dot || err != nil || n < 0 {
		return -1
	}
	return n
}

// IsExperts reports whether a tensor holds matrices, or rows of biases, of all experts of a layer.
func IsExperts(u ops.WeightUse) bool { return strings.Contains(u.Name, "_exps.") && len(u.Shape) > 1 }
