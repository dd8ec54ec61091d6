package conformance

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// input is a case with the contents of its operands, which every device gets byte for byte.
type input struct {
	def  *ops.Def
	c    ops.Case
	name string
	data [][]byte // by operand, in the operand's type
	uses []use    // by operand; the zero use for what is not a state
}

// poison fills what no kernel may read: all ones is NaN in every float type and in the scale of every block type
// that has a half-precision one.
const poison = 0xFF

// newRand returns the generator of one piece of data. It depends on the seed and the name alone.
func newRand(seed uint64, format string, args ...any) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprintf(h, format, args...)
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// weightCache holds operands in block types by name: the layers ask for the same ones, and the search for their codes
// takes longer than most checks. A nil one keeps nothing.
type weightCache map[string][]byte

// newInput generates the operands of a case. weights is for those of one seed.
func newInput(d *ops.Def, c ops.Case, seed uint64, weights weightCache) (*input, error) {
	in := &input{def: d, c: c, name: d.Name + "/" + c.Name, data: make([][]byte, len(c.Args))}
	for i, a := range c.Args {
		size, err := tensor.Bytes(a.DType, a.Shape)
		if err != nil {
			return nil, fmt.Errorf("conformance: %s: operand %d: %w", in.name, i, err)
		}
		if a.DType == tensor.I32 {
			if len(a.Ints) != a.Shape.Elems() {
				return nil, fmt.Errorf("conformance: %s: operand %d: %d integers for shape %v", in.name,
					i, len(a.Ints), a.Shape)
			}
			in.data[i] = int32Bytes(a.Ints)
			continue
		}
		f, _ := a.DType.Format() // tensor.Bytes knows it
		if f.Quant == nil {
			return nil, fmt.Errorf("conformance: %s: operand %d: %v has no quantizer", in.name, i, a.DType)
		}
		key := fmt.Sprintf("%s/%d", in.name, i)
		if kept, ok := weights[key]; ok {
			in.data[i] = slices.Clone(kept)
			continue
		}
		r := newRand(seed, "%s", key)
		x := make([]float32, a.Shape.Elems())
		for j := range x {
			if a.Gen != nil {
				x[j] = a.Gen(r)
			} else {
				x[j] = float32(r.NormFloat64())
			}
		}
		in.data[i] = make([]byte, size)
		f.Quant(in.data[i], x)
		if weights != nil && f.Block > 1 && a.Gen == nil { // generators may keep state
			weights[key] = slices.Clone(in.data[i])
		}
	}
	in.uses = stateUses(in)
	for i, u := range in.uses {
		for row := range u.read {
			if !u.read[row] {
				fill(u.row(in.data[i], row), poison)
			}
		}
	}
	return in, nil
}

// floats returns operand i dequantized; integers are converted.
func (in *input) floats(i int) []float32 {
	a := in.c.Args[i]
	x := make([]float32, a.Shape.Elems())
	for j, v := range a.Ints {
		x[j] = float32(v)
	}
	if f, ok := a.DType.Format(); ok && f.Dequant != nil {
		f.Dequant(x, in.data[i])
	}
	return x
}

// use says which rows of a state an op may read and which it must write. A row is what one token, or one sequence,
// keeps. No rows: the op is not known, and nothing is demanded.
type use struct{ read, write []bool }

// row returns the bytes of a row of the state b.
func (u use) row(b []byte, i int) []byte {
	n := len(b) / len(u.read)
	return b[i*n : (i+1)*n]
}

// stateUses derives from the index operands which rows of each state operand are used.
func stateUses(in *input) []use {
	us := make([]use, len(in.data))
	args := in.c.Args
	switch in.def {
	case ops.KVAppendOp:
		us[0] = pagedUse(args[0].Shape, args[2].Ints, args[3].Ints, args[4])
		clear(us[0].read) // appending reads nothing: the old contents are kept, poison included
	case ops.AttentionOp:
		for i := 1; i <= 2; i++ {
			us[i] = pagedUse(args[i].Shape, args[3].Ints, args[4].Ints, args[5])
			clear(us[i].write)
		}
	case ops.LatentAttentionOp:
		us[1] = pagedUse(args[1].Shape, args[2].Ints, args[3].Ints, args[4])
		clear(us[1].write)
	case ops.SelfAttentionOp:
		for i := 6; i <= 7; i++ {
			us[i] = pagedUse(args[i].Shape, args[3].Ints, args[4].Ints, args[5])
			for row, written := range us[i].write {
				us[i].read[row] = us[i].read[row] && !written // it is written first
			}
		}
	case ops.CausalConvOp:
		us[1] = slotUse(args[1].Shape, args[3].Ints, args[4])
	case ops.GatedDeltaNetOp, ops.ChannelDeltaNetOp, ops.SSMScanOp:
		us[5] = slotUse(args[5].Shape, args[6].Ints, args[7])
	case ops.CountExpertsOp:
		us[0] = countUse(args[0].Shape[0], args[1].Ints)
	case ops.DeltaNetCoreOp:
		us[1], us[9] = slotUse(args[1].Shape, args[3].Ints, args[4]), slotUse(args[9].Shape, args[3].Ints, args[4])
	}
	return us
}

// pagedUse marks the rows of a cache [pages, page size, ...] up to each token's position, and the tokens' own.
func pagedUse(shape tensor.Shape, pos, seq []int32, pages ops.Arg) use {
	u := use{make([]bool, shape[0]*shape[1]), make([]bool, shape[0]*shape[1])}
	page, perSeq := shape[1], pages.Shape[1]
	for t, s := range seq {
		if s < 0 {
			continue
		}
		for p := range int(pos[t]) + 1 {
			row := int(pages.Ints[int(s)*perSeq+p/page])*page + p%page
			u.read[row] = true
			u.write[row] = u.write[row] || p == int(pos[t])
		}
	}
	return u
}

// countUse marks the counts of experts that were chosen.
func countUse(experts int, ids []int32) use {
	u := use{make([]bool, experts), make([]bool, experts)}
	for _, e := range ids {
		if e < 0 {
			e = -1 - e
		}
		u.read[e], u.write[e] = true, true
	}
	return u
}

// slotUse marks the slots that sequences occupy in a state [slots, ...], and those in which they keep earlier states.
func slotUse(shape tensor.Shape, starts []int32, slots ops.Arg) use {
	u := use{make([]bool, shape[0]), make([]bool, shape[0])}
	width := len(slots.Ints) / slots.Shape[0]
	for b := range slots.Shape[0] {
		row := slots.Ints[b*width:][:width]
		u.read[row[0]], u.write[row[0]] = true, true
		for j, s := range row[1:] {
			if s >= 0 && j+1 < int(starts[b+1]-starts[b]) {
				u.write[s] = true
			}
		}
	}
	return u
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

func int32Bytes(v []int32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, uint32(x))
	}
	return b
}

// toFloat32s decodes elements of type F32.
func toFloat32s(b []byte) []float32 {
	x := make([]float32, len(b)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}

// toFloat64s decodes the elements of any type that holds numbers.
func toFloat64s(dt tensor.DType, b []byte, n int) []float64 {
	out := make([]float64, n)
	switch dt {
	case tensor.F64:
		for i := range out {
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		}
	case tensor.I32:
		for i := range out {
			out[i] = float64(int32(binary.LittleEndian.Uint32(b[4*i:])))
		}
	default:
		f, _ := dt.Format()
		x := make([]float32, n)
		f.Dequant(x, b)
		for i, v := range x {
			out[i] = float64(v)
		}
	}
	return out
}
