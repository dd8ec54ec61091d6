package opship

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/ops"
)

// What the chunked kernels of the gated delta rule are compiled for: see kernels/delta_net_chunk.hip.
const (
	chunkObject = "delta_net_chunk"
	chunkTokens = 32
	chunkValues = 16 // value dimensions come in such parts
	chunkSlice  = 64 // of which a block has up to so many

	// bytes of what is kept of a chunk, for each key head and tile of its columns, and for each value head
	chunkTile       = 2 * 2 * 16 * 16 // a tile of halves, and of what they lack
	chunkKeyBytes   = 6 * chunkTile
	chunkValueBytes = 6*chunkTile + 4*(2*chunkTokens+8)
)

// chunkWidths are the widths of key heads that they are compiled for.
var chunkWidths = []int{32, 64, 128}

// chunkedRule is a gated delta rule that runs in chunks.
type chunkedRule struct {
	tokens, keyHeads     int
	state, starts, slots ops.Value
	attrs                ops.GatedDeltaNetAttrs
}

// chunks returns how many chunks there are at most, since each sequence has at most one that is not full.
func (r chunkedRule) chunks() int { return r.tokens/chunkTokens + r.slots.Shape()[0] }

// fits reports whether the kernels take the rule.
func (r chunkedRule) fits() bool {
	s := r.state.Shape()
	return isF32(r.state) && slices.Contains(chunkWidths, s[3]) && s[2]%chunkValues == 0 && r.chunks() <= maxGridYZ &&
		r.slots.Shape()[0] < maxGridYZ
}

// values returns where in the rule's scratch memory what value heads have starts.
func (r chunkedRule) values() int64 {
	return aligned(int64(r.chunks()*r.keyHeads) * chunkKeyBytes * int64(r.state.Shape()[3]/16))
}

// bytes returns the size of the rule's scratch memory.
func (r chunkedRule) bytes() int64 {
	return r.values() + aligned(int64(r.chunks()*r.state.Shape()[1])*chunkValueBytes)
}

// launches returns those of the rule, whose scratch memory starts at byte `at`: what is made of queries and keys, in
// the kernels of the op named so, and the states. qk are the arguments of the first up to the vectors of value heads,
// rows of queries and keys qkPitch floats apart; v is the address of the values, vPitch apart, o that of the result.
// padded says that o of padding becomes zero. The caller sets Scratch.
func (r chunkedRule) launches(op string, at int64, qk Args, qkPitch int, qEps, kEps float32, v reloc, vPitch int,
	o reloc, padded bool) []Launch {
	s, sequences, kept, tiled := r.state.Shape(), r.slots.Shape()[0], ops.Kept(r.slots), 0
	if r.attrs.Tiled {
		tiled = 1
	}
	values, rows := at+r.values(), sequences
	if padded {
		rows++
	}
	return []Launch{
		{Object: chunkObject, Symbol: fmt.Sprintf("%s_f32_chunk_keys%d", op, s[3]),
			Grid: [3]uint32{uint32(r.keyHeads), uint32(r.chunks())}, Block: [3]uint32{256},
			Args: qk.Ptr(r.starts).Ptr(r.slots).ScratchPtr(at).ScratchPtr(values).
				i32s(qkPitch, sequences, r.keyHeads, s[1], tiled).F32(qEps).F32(kEps).i32s(kept)},
		{Object: chunkObject, Symbol: fmt.Sprintf("delta_net_f32_chunk%d", s[3]),
			Grid: [3]uint32{uint32(s[1]) * Blocks(s[2], chunkSlice), uint32(rows)}, Block: [3]uint32{128},
			Args: Args{}.ptr(v).ScratchPtr(at).ScratchPtr(values).Ptr(r.state).ptr(o).Ptr(r.starts).Ptr(r.slots).
				i32s(vPitch, sequences, r.tokens, r.keyHeads, s[1], s[2], tiled).F32(r.attrs.Scale).i32s(kept)},
	}
}
