package opship

import (
	"fmt"
	"math/bits"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// Limits of the kernels of attention_decode.hip.
const (
	decodeRun     = 32 // keys that a wave reads at once at most: runs do not cross pages
	decodeSplits  = 64
	decodeTokens  = 4 // of a sequence, where other kernels could take the step
	decodeReading = 6 // columns that cost what reading keys and values once more does
)

// decodeShapes lists the compiled kernels of a cache type: head dims, with the numbers of columns for each.
type decodeShapes map[int][]int

// decodeKernels are the compiled kernels by type of the cache.
var decodeKernels = map[tensor.DType]decodeShapes{
	tensor.F16:  {64: {8}, 128: {4, 8}, 256: {4, 6, 8}, 512: {4}},
	quant.Q8_0:  {64: {8}, 128: {4, 8}, 256: {4, 6, 8}, 512: {4}},
	tensor.BF16: {128: {4}, 256: {4}},
	tensor.F32:  {128: {4}, 256: {4}},
}

// decodePlan is how attention_decode goes about an attention.
type decodePlan struct {
	dims, columns       int // of the kernel
	group, tile, chunks int // query heads of a KV head; tokens of a block; blocks of a group
	blocks, splits      int // for each KV head; over the keys
}

// planDecode returns the plan, or false if no kernel takes a. It does not depend on the number of keys.
func planDecode(a attend, t *Target) (p decodePlan, ok bool) {
	k, v := a.k.Shape(), a.v.Shape()
	page, dim := k[1], k[3]
	multiple := 16
	if a.k.DType() == quant.Q8_0 {
		multiple = 32
	}
	if v[3] != dim || dim%multiple != 0 || page%decodeRun != 0 || bits.OnesCount(uint(page)) != 1 {
		return p, false
	}
	var shapes []int
	for _, p.dims = range []int{64, 128, 256, 512} {
		if shapes = decodeKernels[a.k.DType()][p.dims]; p.dims >= dim && shapes != nil {
			break
		}
	}
	if p.dims < dim || shapes == nil {
		return p, false
	}
	p.group = a.heads / k[2]
	// What costs least for all tokens of a sequence: blocks read keys and values anew, and columns cost, used or not.
	each := cover(a.tokens, a.pages.Shape()[0])
	least := 0
	for _, c := range shapes {
		tile, chunks := max(1, min(each, c/p.group)), cover(p.group, c)
		if cost := cover(each, tile) * chunks * (c + decodeReading); least == 0 || cost < least || cost == least &&
			c > p.columns {
			least, p.columns, p.tile, p.chunks = cost, c, tile, chunks
		}
	}
	p.blocks = cover(a.tokens, p.tile) * p.chunks
	cus := t.computeUnits()
	// A block for each: two on a workgroup processor, which leave room for what a wave keeps in flight.
	p.splits = max(1, min(decodeSplits, cus/(p.blocks*k[2])))
	return p, true
}

// matchesDecode reports whether attention_decode takes a, and is meant for it: there are few tokens a sequence.
func (a attend) matchesDecode(t *Target) bool {
	p, ok := planDecode(a, t)
	few := a.tokens < mmaQueries || a.tokens <= decodeTokens*a.pages.Shape()[0]
	return ok && few && a.matches() && fits(p.blocks*a.k.Shape()[2]) && a.k.Shape()[2] <= maxGridYZ
}

// decode returns the launch of attention_decode.
func (a attend) decode(n *ops.Node, t *Target) Launch {
	p, _ := planDecode(a, t) // matchesDecode has asked
	kv, page := a.k.Shape()[2], a.k.Shape()[1]
	l := Launch{Object: "attention_decode",
		Symbol: fmt.Sprintf("attention_%s_decode%dx%d", cacheTypes[a.k.DType()], p.dims, p.columns),
		Grid:   [3]uint32{uint32(p.blocks), uint32(p.splits), uint32(kv)}, Block: [3]uint32{256}, Scratch: a.scratch}
	args := a.args()
	if p.splits > 1 {
		parts := int64(p.blocks*kv) * int64(p.splits) * int64(p.columns)
		sums := a.scratch + aligned(8*parts)
		l.Scratch, l.Counters = sums+4*parts*int64(p.dims), p.blocks*kv
		args = args.ScratchPtr(a.scratch).ScratchPtr(sums).CounterPtr()
	} else {
		args = args.NullPtr().NullPtr().NullPtr()
	}
	l.Args = args.i32s(p.group, p.tile, p.splits, bits.TrailingZeros(uint(page))).emittedOf(n, 0)
	return l
}

// emitsHeads reports whether attention_decode can write the codes of its result, whose heads must be whole blocks.
func emitsHeads(n *ops.Node, r int, f packForm) bool {
	o := n.Out[0].Shape
	return f.kind == packQ24 && r == 0 && o.Last()%32 == 0 && o.Elems() == f.rows*f.k && fits(o.Elems())
}
