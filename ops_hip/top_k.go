package opship

import "github.com/hipengine/hipengine/ops"

// Sizes of the top_k kernels.
const (
	topKPart = 4096 // elements of a block
	maxTopK  = 64
)

func init() {
	registerTopK("argmax", 1, matchGood)
	registerTopK("top_k", maxTopK, matchPlain)
}

// registerTopK adds the kernels that find up to most elements: one for parts of rows, and one that joins what those
// found.
func registerTopK(name string, most, score int) {
	Register(Kernel{
		Name: name + "_f32",
		Op:   ops.TopKOp,
		Match: func(n *ops.Node, _ *Target) int {
			s := n.In[0].Shape()
			return matchIf(n.Attrs.(ops.TopKAttrs).K <= most && fits(s[0], s[1]) && cover(s[1], topKPart) <= maxGridYZ,
				score)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			s, k := n.In[0].Shape(), n.Attrs.(ops.TopKAttrs).K
			rows, parts := uint32(s[0]), Blocks(s[1], topKPart)
			sizes := func(a Args) Args {
				a = a.i32s(s[1], int(parts))
				if most > 1 {
					a = a.i32s(k)
				}
				return a
			}
			scratch := int64(s[0]) * int64(parts) * int64(k) * 8 // a rank of 8 bytes for each element found
			return []Launch{
				{Object: "top_k", Symbol: name + "_part", Grid: [3]uint32{rows, parts}, Block: [3]uint32{256},
					Args: sizes(Args{}.Ptr(n.In[0]).ScratchPtr(0)), Scratch: scratch},
				{Object: "top_k", Symbol: name + "_join", Grid: [3]uint32{rows}, Block: [3]uint32{256},
					Args:    sizes(Args{}.Ptr(n.In[0]).ScratchPtr(0).Ptr(n.Result(0)).Ptr(n.Result(1))),
					Scratch: scratch},
			}, nil
		},
	})
}
