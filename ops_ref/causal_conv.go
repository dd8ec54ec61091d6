package opsref

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
)

func init() { Register(ops.CausalConvOp, causalConv[float32], causalConv[float64]) }

func causalConv[T Float](c *Call[T]) error {
	x, w, out, state := c.In[0], c.In[2].All(), c.Out[0], c.Out[1]
	starts, slots := c.In[3].Ints(), c.In[4].Ints()
	if err := checkSequences(starts, slots, x.Shape[0], state.Shape[0]); err != nil {
		return err
	}
	channels, taps := x.Shape[1], c.In[2].Shape[1]
	clear(out.F[int(starts[len(slots)])*channels:])
	return c.Pool.For(len(slots), 1, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			tokens := int(starts[b+1] - starts[b])
			if tokens == 0 {
				continue
			}
			// window is the K-1 rows before the step, followed by the step's rows.
			window := make([][]T, 0, taps-1+tokens)
			for j := range taps - 1 {
				old := state.Row(int(slots[b])*(taps-1)+j, make([]T, channels))
				window = append(window, append([]T(nil), old...))
			}
			for t := range tokens {
				window = append(window, x.Row(int(starts[b])+t, nil))
			}
			for t := range tokens {
				y := out.Row(int(starts[b])+t, nil)
				for ch := range channels {
					var s float64
					for j := range taps {
						s += float64(w[ch*taps+j]) * float64(window[t+j][ch])
					}
					y[ch] = T(s)
				}
			}
			for j := range taps - 1 {
				state.SetRow(int(slots[b])*(taps-1)+j, window[tokens+j])
			}
		}
	})
}

// checkSequences checks the operands that address per-sequence state: starts must rise from 0 to at most tokens
// and the slots of sequences that have tokens must be distinct places of the state.
func checkSequences(starts, slots []int32, tokens, places int) error {
	if starts[0] != 0 || int(starts[len(starts)-1]) > tokens {
		return fmt.Errorf("sequences span rows %d to %d of %d", starts[0], starts[len(starts)-1], tokens)
	}
	seen := make(map[int32]bool, len(slots))
	for b, s := range slots {
		if starts[b+1] < starts[b] {
			return fmt.Errorf("sequence %d ends at row %d before it starts at %d", b, starts[b+1], starts[b])
		}
		if s < 0 || int(s) >= places || seen[s] {
			return fmt.Errorf("slot %d of sequence %d is outside 0..%d or used twice", s, b, places-1)
		}
		seen[s] = starts[b+1] > starts[b]
	}
	return nil
}
