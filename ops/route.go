package ops

import (
	"fmt"
	"math/rand/v2"

	"github.com/hipengine/hipengine/tensor"
)

// Gating says how a router's logits become weights.
type Gating uint8

// The gatings.
const (
	Softmax     Gating = iota // softmax over all experts, then the k largest
	SigmoidGate               // sigmoid of each, then the k largest
	SoftmaxTopK               // the k largest logits, then softmax over those
)

// RouteAttrs are the attributes of [RouteOp].
type RouteAttrs struct {
	K      int
	Gating Gating
	Norm   bool    // divide the k weights by their sum (at least 2^-14, as llama.cpp does)
	Scale  float32 // on the weights, after Norm; 1 for none

	// Groups, where there are several, are equal numbers of neighbouring experts. Experts of the UsedGroups groups with
	// the largest sums of their GroupBest largest preferences alone can be chosen; the lower group wins a tie.
	Groups, UsedGroups, GroupBest int
}

// check says what is wrong with a as the routing of so many experts.
func (a RouteAttrs) check(experts int) error {
	if a.K < 1 || a.K > experts || a.Gating > SoftmaxTopK {
		return fmt.Errorf("%d of %d experts with gating %d", a.K, experts, a.Gating)
	}
	if a.Groups <= 1 {
		return nil
	}
	if experts%a.Groups != 0 {
		return fmt.Errorf("%d experts in %d groups", experts, a.Groups)
	}
	each := experts / a.Groups
	if a.UsedGroups < 1 || a.UsedGroups > a.Groups || a.GroupBest < 1 || a.GroupBest > each || a.K > a.UsedGroups*each {
		return fmt.Errorf("%d experts from %d of %d groups of %d, which the best %d of each choose", a.K, a.UsedGroups,
			a.Groups, each, a.GroupBest)
	}
	return nil
}

// RouteOp picks the experts of each token.
var RouteOp = Register(&Def{
	Name:    "route",
	Results: 2,
	Infer: func(n *Node) error {
		if len(n.In) != 1 && len(n.In) != 2 {
			return fmt.Errorf("%d inputs, want 1 or 2", len(n.In))
		}
		x, a := n.In[0], n.Attrs.(RouteAttrs)
		if err := is(x, "logits", tensor.F32, 2); err != nil {
			return err
		}
		s := x.Shape()
		if err := a.check(s[1]); err != nil {
			return err
		}
		picked := tensor.Shape{s[0], a.K}
		n.Out = []Type{{tensor.I32, picked}, {tensor.F32, picked}}
		if len(n.In) == 2 {
			return vector(n.In[1], "bias", s[1])
		}
		return nil
	},
	Cases: func() []Case {
		var cs []Case
		for _, c := range []struct {
			tokens, experts int
			a               RouteAttrs
			bias            bool
		}{
			{1, 1, RouteAttrs{K: 1, Gating: Softmax, Norm: false, Scale: 1}, false},
			{3, 8, RouteAttrs{K: 2, Gating: Softmax, Norm: true, Scale: 1}, false},
			{5, 60, RouteAttrs{K: 4, Gating: Softmax, Norm: false, Scale: 1}, false},
			{4, 256, RouteAttrs{K: 8, Gating: Softmax, Norm: true, Scale: 1}, false},
			{3, 32, RouteAttrs{K: 4, Gating: SoftmaxTopK, Norm: false, Scale: 1}, false},
			{3, 40, RouteAttrs{K: 4, Gating: SoftmaxTopK, Norm: true, Scale: 1}, false},
			{3, 64, RouteAttrs{K: 6, Gating: SigmoidGate, Norm: true, Scale: 2.5}, true},
			{5, 64, RouteAttrs{K: 6, Gating: SigmoidGate, Norm: true, Scale: 2.5, Groups: 8, UsedGroups: 4,
				GroupBest: 2}, true},
			{4, 160, RouteAttrs{K: 6, Gating: Softmax, Scale: 16, Groups: 8, UsedGroups: 3, GroupBest: 1}, false},
			{3, 12, RouteAttrs{K: 3, Gating: Softmax, Norm: true, Scale: 1, Groups: 4, UsedGroups: 1, GroupBest: 3},
				false},
		} {
			args := []Arg{f32(c.tokens, c.experts)}
			if c.bias {
				args = append(args, f32(c.experts))
			}
			name := fmt.Sprintf("t%de%dk%dg%d", c.tokens, c.experts, c.a.K, c.a.Gating)
			if c.a.Groups > 1 {
				name += fmt.Sprintf("of%d", c.a.Groups)
			}
			cs = append(cs, Case{Name: name, Args: args, Attrs: c.a})
		}
		// Few distinct logits: the order among equals decides.
		ties := f32(6, 16)
		ties.Gen = func(r *rand.Rand) float32 { return float32(r.IntN(3)) }
		return append(cs,
			Case{Name: "ties", Args: []Arg{ties}, Attrs: RouteAttrs{K: 4, Gating: Softmax, Norm: true, Scale: 1}},
			Case{Name: "ties/groups", Args: []Arg{ties}, Attrs: RouteAttrs{K: 4, Gating: SoftmaxTopK, Scale: 1, Groups: 4,
				UsedGroups: 2, GroupBest: 2}})
	},
})

// Route returns the ids, I32 [tokens, K], of the K experts of each token in falling order of preference (the lower
// id wins a tie), and their weights, F32 [tokens, K]. logits: F32 [tokens, experts]; bias, the zero Value for none:
// F32 [experts], added for the choice but not to the weights.
func Route(g *Graph, logits, bias Value, a RouteAttrs) (ids, weights Value) {
	in := []Value{logits}
	if bias.Valid() {
		in = append(in, bias)
	}
	r := g.Add(RouteOp, a, in...)
	return r[0], r[1]
}

// experts checks the ids operand of ops that work expert by expert.
func experts(ids Value, tokens int) error {
	if err := is(ids, "ids", tensor.I32, 2); err != nil {
		return err
	}
	if ids.Shape()[0] != tokens {
		return fmt.Errorf("ids %v for %d tokens", ids.Shape(), tokens)
	}
	return nil
}

// expertIDs is an ids operand in which each token has distinct experts and some experts serve nobody.
func expertIDs(tokens, k, experts int) Arg {
	ids := make([]int32, tokens*k)
	for i := range ids {
		ids[i] = int32((i/k*3 + i%k*5 + 1) % experts) // distinct while experts is prime to 5 and k ≤ experts
	}
	return Arg{Leaf: Input, DType: tensor.I32, Shape: tensor.Shape{tokens, k}, Ints: ids}
}
