package mutant

import (
	"encoding/binary"

	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
)

// All returns the mutants.
func All() []Mutant {
	return []Mutant{
		// Positions.
		{"rope_interleaved", "interleaved pairs where the model wants NeoX", "Ops/rope/",
			attrs(func(a *ops.RoPEAttrs) { a.Pairing = ops.Interleaved })},
		{"rope_no_mscale", "YaRN's factor on cosine and sine left out", "Ops/rope/",
			attrs(func(a *ops.RoPEAttrs) { a.MScale = 1 })},

		// Attention and its cache.
		{"mask_off_by_one", "a query does not see its own position", "Ops/attention/",
			kernel(ops.AttentionOp, attentionShifted(-1))},
		{"window_off_by_one", "the window holds one key too many", "Ops/attention/",
			attrs(func(a *ops.AttentionAttrs) {
				if a.Window > 0 {
					a.Window++
				}
			})},
		{"no_softcap", "scores not capped", "Ops/attention/", attrs(func(a *ops.AttentionAttrs) { a.Softcap = 0 })},
		{"no_sinks", "attention sinks left out of the softmax", "Ops/attention/",
			onOp(ops.AttentionOp, func(n *ops.Node) ops.Value {
				n.In = n.In[:6]
				return ops.Value{}
			})},
		{"stale_kv_row", "the last token of a step not stored", "Ops/kv_append/",
			kernel(ops.KVAppendOp, kvAppend(false, func(t, tokens int, seq int32) bool {
				return seq < 0 || t == tokens-1
			}))},
		{"page_table_ignored", "pages taken in order instead of from the page table", "Ops/kv_append/",
			kernel(ops.KVAppendOp, kvAppend(true, padding))},
		{"padding_stored", "padding tokens written to the first page", "Ops/kv_append/",
			kernel(ops.KVAppendOp, kvAppend(false, func(int, int, int32) bool { return false }))},
		{"latent_values_last", "the end of a latent vector taken for its values", "Ops/latent_attention/",
			kernel(ops.LatentAttentionOp, latentEnds)},
		{"attention_before_append", "a dependency lost: the step's keys are stored after attention has run",
			"Model/qwen35/", defect{node: readOldCache, order: appendLast}},

		// Norms and elementwise ops.
		{"rms_norm_no_eps", "eps left out of the norm", "Ops/rms_norm/", onOp(ops.RMSNormOp, noEps)},
		{"l2_norm_no_eps", "eps left out of the norm", "Ops/l2_norm/", onOp(ops.L2NormOp, noEps)},
		{"gelu_erf", "the exact GELU instead of the tanh form", "Ops/gelu/", kernel(ops.GELUOp, geluErf)},
		{"no_residual", "the residual stream not added", "Ops/add/", onOp(ops.AddOp, func(n *ops.Node) ops.Value {
			if x, y := n.In[0], n.In[1]; x.Shape().Equal(y.Shape()) {
				return y
			}
			return ops.Value{}
		})},
		{"fused_residual_dropped", "the end of a block without the residual stream", "Ops/mul_mat_add_rms_norm/",
			kernel(ops.MulMatAddRMSNormOp, mulMatRMSNorm)},
		{"gate_and_up_swapped", "the activation applied to the wrong half", "Ops/swiglu/",
			onOp(ops.SwiGLUOp, swapTwo)},

		// Weights.
		{"last_block_ignored", "a sum stops at the last whole tile", "Ops/mul_mat",
			kernel(ops.MulMatOp, mulMatWholeTiles)},
		{"f16_accumulator", "products summed in binary16", "Ops/mul_mat", kernel(ops.MulMatOp, mulMatHalf)},
		{"nibbles_swapped", "high and low nibbles of a block exchanged", "Quant/Q4_0/",
			weights("Q4_0", func(block, _ []byte) {
				for i, b := range block[2:] {
					block[2+i] = b>>4 | b<<4
				}
			})},
		{"neighbour_scale", "blocks take the scale of the next", "Quant/Q8_0/",
			weights("Q8_0", func(block, next []byte) { copy(block[:2], next) })},
		{"min_dropped", "the minimum of a K type left out", "Quant/Q4_K/",
			weights("Q4_K", func(block, _ []byte) { clear(block[2:4]) })},
		{"high_bits_lost", "the fifth bits of the codes not read", "Quant/Q5_0/",
			weights("Q5_0", func(block, _ []byte) { clear(block[2:6]) })},
		{"nan_swallowed", "a NaN scale taken for zero, so that a broken file computes", "Quant/Q6_K/",
			weights("Q6_K", func(block, _ []byte) {
				if d := binary.LittleEndian.Uint16(block[208:]); d&0x7C00 == 0x7C00 && d&0x3FF != 0 {
					clear(block[208:])
				}
			})},
		{"subnormals_flushed", "subnormal scales taken for zero", "Quant/Q8_0/",
			weights("Q8_0", func(block, _ []byte) {
				if binary.LittleEndian.Uint16(block)&0x7C00 == 0 {
					clear(block[:2])
				}
			})},

		// Recurrent layers.
		{"wrong_key_head", "value heads served by the key heads of the other layout", "Ops/gated_delta_net/",
			attrs(func(a *ops.GatedDeltaNetAttrs) { a.Tiled = !a.Tiled })},
		{"conv_state_not_shifted", "the convolution's window not stored", "Ops/causal_conv/",
			kernel(ops.CausalConvOp, convKeepsState)},
		{"wrong_state_kept", "the last state kept where an earlier one is wanted", "Ops/gated_delta_net/kept",
			kernel(ops.GatedDeltaNetOp, deltaKeepsLast)},

		// Experts.
		{"tie_order", "the higher id wins among equal experts", "Ops/route/", kernel(ops.RouteOp, routeHighestID)},
		{"weights_not_normalized", "the weights of the chosen experts not divided by their sum", "Ops/route/",
			attrs(func(a *ops.RouteAttrs) { a.Norm = false })},
		{"groups_ignored", "experts of all groups chosen", "Ops/route/",
			attrs(func(a *ops.RouteAttrs) { a.Groups = 0 })},

		// Sampling.
		{"top_k_order", "the higher id wins among equal logits", "Ops/top_k/ties", kernel(ops.TopKOp, topKHighestID)},

		// Streams and memory.
		{"racy", "the last bit depends on the order of arrival", "Stream/silu/", kernel(ops.SiLUOp, racy())},
		{"stale_output", "an output that is added to, not overwritten", "Memory/weighted_sum/",
			kernel(ops.WeightedSumOp, sumsIntoOutput)},
		{"copy_whole_words", "a copy ends at the last whole word", "Stream/copy", defect{copied: wholeWords}},
		{"zero_whole_words", "clearing ends at the last whole word", "Stream/zero", defect{cleared: wholeWords}},
		{"late_downloads", "downloads read when the queue is empty, not in their turn", "Stream/queued",
			defect{late: true}},
		{"overrun", "one element written behind a state", "Memory/", defect{after: overrun}},
	}
}

// attrs edits the attributes of the op that has attributes of type A.
func attrs[A any](edit func(*A)) defect {
	return defect{node: func(n *ops.Node) ops.Value {
		if a, ok := n.Attrs.(A); ok {
			edit(&a)
			n.Attrs = a
		}
		return ops.Value{}
	}}
}

// onOp edits the nodes of one op.
func onOp(d *ops.Def, edit func(n *ops.Node) ops.Value) defect {
	return defect{node: func(n *ops.Node) ops.Value {
		if n.Op != d {
			return ops.Value{}
		}
		return edit(n)
	}}
}

// kernel replaces the kernel of one op.
func kernel(d *ops.Def, k opsref.Kernel[float32]) defect {
	return defect{override: map[*ops.Def]opsref.Kernel[float32]{d: k}}
}

// weights edits each block of the weights of one type. The last block of a tensor is its own next.
func weights(name string, edit func(block, next []byte)) defect {
	return defect{weight: func(f tensor.Format, b []byte) {
		if f.Name != name {
			return
		}
		for i := 0; i < len(b); i += f.Bytes {
			next := b[min(i+f.Bytes, len(b)-f.Bytes):]
			edit(b[i:i+f.Bytes], next[:f.Bytes])
		}
	}}
}

func noEps(n *ops.Node) ops.Value {
	n.Attrs = ops.NormAttrs{}
	return ops.Value{}
}

func swapTwo(n *ops.Node) ops.Value {
	n.In[0], n.In[1] = n.In[1], n.In[0]
	return ops.Value{}
}

// wholeWords leaves out what does not fill a word.
func wholeWords(n int) int { return n &^ 3 }

// overrun writes a byte behind each state that the plan has.
func overrun(s ops.Stream, states []tensor.Tensor) error {
	for _, t := range states {
		size, err := tensor.Bytes(t.DType, t.Shape)
		if err != nil {
			return err
		}
		if t.Off+size >= t.Buf.Size() {
			continue
		}
		behind := tensor.Tensor{DType: tensor.I8, Shape: tensor.Shape{1}, Buf: t.Buf, Off: t.Off + size}
		if err := s.Upload(behind, []byte{1}); err != nil {
			return err
		}
	}
	return nil
}

// readOldCache lets attention read the cache as it was before kv_append. In-place ops share storage, so that this
// alone changes nothing: the order has to change as well.
func readOldCache(n *ops.Node) ops.Value {
	if n.Op == ops.AttentionOp {
		for i := 1; i <= 2; i++ {
			if v := n.In[i]; v.Node().Op == ops.KVAppendOp {
				n.In[i] = v.Node().In[0]
			}
		}
	}
	return ops.Value{}
}

// appendLast moves every kv_append behind all other nodes.
func appendLast(nodes []*ops.Node) []*ops.Node {
	var first, last []*ops.Node
	for _, n := range nodes {
		if n.Op == ops.KVAppendOp {
			last = append(last, n)
		} else {
			first = append(first, n)
		}
	}
	return append(first, last...)
}
