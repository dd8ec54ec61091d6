package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// CausalConvOp is the short depth-wise convolution in front of a linear attention.
var CausalConvOp = Register(&Def{
	Name:    "causal_conv",
	Results: 2,
	InPlace: map[int]int{1: 1},
	Infer: func(n *Node) error {
		if err := arity(n, 5); err != nil {
			return err
		}
		x, state, w := n.In[0], n.In[1], n.In[2]
		if err := is(x, "x", tensor.F32, 2); err != nil {
			return err
		}
		if err := is(w, "w", tensor.F32, 2); err != nil {
			return err
		}
		if err := is(state, "state", state.DType(), 3); err != nil {
			return err
		}
		c := x.Shape()[1]
		if s, k := state.Shape(), w.Shape(); k[0] != c || k[1] < 2 || s[1] != k[1]-1 || s[2] != c {
			return fmt.Errorf("x %v, state %v and w %v do not fit together", x.Shape(), s, k)
		}
		n.Out = []Type{x.Type(), state.Type()}
		return sequences(n.In[3], n.In[4])
	},
	Cases: func() []Case {
		var cs []Case
		for _, c := range []struct {
			name     string
			channels int
			spans    []span
		}{
			{"first", 1, []span{{0, 1}}}, {"two", 33, []span{{0, 2}}}, {"prefill", 96, []span{{0, 21}}},
			{"batch", 64, []span{{0, 3}, {0, 1}, {0, 5}, {0, 2}}},
			{"padded", 64, []span{{0, 3}, {0, 2}, {0, 0}, {0, 0}}},
			{"kept", 40, []span{{0, 4}}},
			{"kept batch", 64, []span{{0, 5}, {0, 1}, {0, 21}, {0, 3}, {0, 0}}},
			{"kept run", 33, []span{{0, 40}}},
		} {
			b, slots := layout(8, c.spans...).keeping(c.name)
			tokens := b.tokens
			if c.name == "padded" || c.name == "kept batch" {
				tokens += 3
			}
			cs = append(cs, Case{Name: c.name, Args: []Arg{f32(tokens, c.channels),
				{Leaf: State, DType: tensor.F32, Shape: tensor.Shape{b.places, 3, c.channels}},
				f32(c.channels, 4), i32(b.starts), slots}})
		}
		return cs
	},
})

// CausalConv convolves each channel with its own filter along each sequence: y[t][c] = Σ_j w[c][j]·x[t-K+1+j][c],
// where rows before the step's first token come from state. It returns y and the updated state, the last K-1
// rows of x of each sequence. x: F32 [tokens, channels]; state: [slots, K-1, channels], oldest row first; w:
// F32 [channels, K], newest sample last; starts: I32 [sequences+1], the tokens of sequence b being rows
// starts[b]..starts[b+1]-1; slots: I32 [sequences], the place of each sequence in state. A sequence without tokens
// is padding: its place is neither read nor written, and may be that of other padding. Rows of y from
// starts[sequences] on, padding tokens, are zero.
//
// With slots [sequences, 1+k] the states after up to k tokens before a sequence's last are kept too, for those who take
// tokens back: slots[b][0] is the place of the sequence as above, and slots[b][j] the one to which the state goes that
// all but the last j of its tokens leave. No place is written where that number is negative, or where j tokens are all
// of them or more. Sequences all of whose further numbers are negative keep nothing.
func CausalConv(g *Graph, x, state, w, starts, slots Value) (y, newState Value) {
	r := g.Add(CausalConvOp, nil, x, state, w, starts, slots)
	return r[0], r[1]
}

// sequences checks the index operands that address per-sequence state.
func sequences(starts, slots Value) error {
	if s := slots.Shape(); slots.DType() != tensor.I32 || len(s) != 1 && (len(s) != 2 || s[1] < 1) {
		return fmt.Errorf("slots is %v, want I32[sequences] or I32[sequences, places]", slots.Type())
	}
	return ints(starts, "starts", slots.Shape()[0]+1)
}

// Kept returns how many states of a sequence the op keeps beside the last, by the shape of its operand slots: see
// [CausalConv].
func Kept(slots Value) int {
	if s := slots.Shape(); len(s) == 2 {
		return s[1] - 1
	}
	return 0
}

// stateMoves is how often an op with the operand slots moves a state of each sequence: it reads it, and writes it and
// those that it keeps.
func stateMoves(slots Value) int64 { return int64(slots.Shape()[0]) * int64(2+Kept(slots)) }
