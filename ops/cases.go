package ops

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/tensor"
)

// f32 is an F32 operand of normal random numbers.
func f32(shape ...int) Arg { return Arg{Leaf: Input, DType: tensor.F32, Shape: shape} }

// i32 is an I32 vector with the given contents.
func i32(v []int32) Arg {
	return Arg{Leaf: Input, DType: tensor.I32, Shape: tensor.Shape{len(v)}, Ints: v}
}

// weightOf is a weight matrix of a type by its name, of type Invalid if that is not registered.
func weightOf(name string, shape ...int) Arg {
	dt := tensor.F32 // which is known without its format
	if name != "F32" {
		dt, _ = tensor.ParseDType(name)
	}
	return Arg{Leaf: Weight, DType: dt, Shape: shape}
}

// knownTypes returns the cases whose operands all have a type.
func knownTypes(cs []Case) []Case {
	return slices.DeleteFunc(cs, func(c Case) bool {
		return slices.ContainsFunc(c.Args, func(a Arg) bool { return a.DType == tensor.Invalid })
	})
}

// unaryCases are the sizes on which elementwise kernels go wrong: one element, odd tails, more than one block.
func unaryCases() []Case {
	var cs []Case
	for _, s := range []tensor.Shape{{1}, {1, 1}, {3, 67}, {5, 256}, {2, 3, 129}} {
		cs = append(cs, Case{Name: fmt.Sprint(s), Args: []Arg{f32(s...)}})
	}
	return cs
}

// binaryCases cover equal shapes and broadcasting over leading dimensions.
func binaryCases() []Case {
	var cs []Case
	for _, s := range [][2]tensor.Shape{{{1}, {1}}, {{1, 1}, {1, 1}}, {{3, 67}, {3, 67}}, {{3, 67}, {67}},
		{{2, 5, 33}, {5, 33}}, {{4, 256}, {256}}} {
		cs = append(cs, Case{Name: fmt.Sprintf("%v%v", s[0], s[1]), Args: []Arg{f32(s[0]...), f32(s[1]...)}})
	}
	return cs
}

// gatedCases cover two operands of one shape.
func gatedCases() []Case {
	var cs []Case
	for _, s := range []tensor.Shape{{1, 1}, {2, 129}, {3, 768}, {2, 3, 65}} {
		cs = append(cs, Case{Name: fmt.Sprint(s), Args: []Arg{f32(s...), f32(s...)}})
	}
	return cs
}

// span is one sequence of a test batch: past tokens in the cache, fresh ones in this step.
type span struct{ past, fresh int }

// batch is the index data of a step over some sequences, as a runner would build it.
type batch struct {
	tokens                         int
	pos, seq, starts, slots, pages []int32
	seqPages, totalPages, page     int // page table width; pages in the cache; tokens of a page
	places                         int // in per-sequence state
}

// layout places the spans in a paged cache. Pages are handed out in a scrambled order and slots in reverse, so
// that a kernel that ignores either table fails.
func layout(page int, spans ...span) batch {
	b := batch{page: page}
	for _, s := range spans {
		b.seqPages = max(b.seqPages, (s.past+s.fresh+page-1)/page)
	}
	b.totalPages, b.places = len(spans)*b.seqPages+1, len(spans)+1
	b.starts = []int32{0}
	for i, s := range spans {
		for t := range s.fresh {
			b.pos = append(b.pos, int32(s.past+t))
			b.seq = append(b.seq, int32(i))
		}
		b.tokens += s.fresh
		b.starts = append(b.starts, int32(b.tokens))
		b.slots = append(b.slots, int32(len(spans)-1-i))
		for p := range b.seqPages {
			k := (i*b.seqPages + p) * 5 % b.totalPages // a permutation while totalPages is not a multiple of 5
			if b.totalPages%5 == 0 {
				k = b.totalPages - 1 - i*b.seqPages - p
			}
			b.pages = append(b.pages, int32(k))
		}
	}
	return b
}

// padded returns b with n tokens of padding behind the others, as a runner adds to fill a bucket.
func (b batch) padded(n int) batch {
	b.tokens += n
	for range n {
		b.pos, b.seq = append(b.pos, 0), append(b.seq, -1)
	}
	return b
}

// keptStates is how many states the cases called "kept" keep of a sequence beside the last.
const keptStates = 3

// keeping returns b and the operand slots. In cases whose names begin with "kept", every second sequence, the first
// included, keeps states, at places that lie in no order, and the others keep none.
func (b batch) keeping(name string) (batch, Arg) {
	if !strings.HasPrefix(name, "kept") {
		return b, i32(b.slots)
	}
	n := len(b.slots)
	b.places = n*(1+keptStates) + 1
	slots := Arg{Leaf: Input, DType: tensor.I32, Shape: tensor.Shape{n, 1 + keptStates}}
	for i, s := range b.slots {
		slots.Ints = append(slots.Ints, s)
		for j := range keptStates {
			place := -1
			if i%2 == 0 {
				place = n + (j+1)%keptStates*n + i
			}
			slots.Ints = append(slots.Ints, int32(place))
		}
	}
	return b, slots
}

// pageTable is the I32 operand [sequences, pages].
func (b batch) pageTable() Arg {
	return Arg{Leaf: Input, DType: tensor.I32, Shape: tensor.Shape{len(b.slots), b.seqPages}, Ints: b.pages}
}

// quantTypes returns the registered types that a weight matrix can have.
func quantTypes() []tensor.Format {
	var fs []tensor.Format
	for _, f := range tensor.Formats() {
		if f.Dequant != nil && f.Quant != nil && f.DType != tensor.F64 && !f.Activation {
			fs = append(fs, f)
		}
	}
	return fs
}

// scaled returns a generator of normal numbers with standard deviation s.
func scaled(s float32) func(*rand.Rand) float32 {
	return func(r *rand.Rand) float32 { return s * float32(r.NormFloat64()) }
}

// between returns a generator of uniform numbers in [lo, hi).
func between(lo, hi float32) func(*rand.Rand) float32 {
	return func(r *rand.Rand) float32 { return lo + (hi-lo)*r.Float32() }
}
