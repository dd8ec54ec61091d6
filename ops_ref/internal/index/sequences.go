package index

import "fmt"

// Sequences says which rows of a step are of which sequence, and where its state is.
type Sequences struct {
	Starts, Slots []int32

	used []bool // by place
}

// NewSequences returns the sequences of a step: rows Starts[i] to Starts[i+1]-1 are of that with state Slots[i], one
// of so many places.
func NewSequences(starts, slots []int32, places int) *Sequences {
	return &Sequences{Starts: starts, Slots: slots, used: make([]bool, places)}
}

// Check returns an error unless starts rise from 0 to at most tokens and the slots of sequences that have tokens are
// distinct places of the state. It allocates nothing.
func (s *Sequences) Check(tokens int) error {
	if s.Starts[0] != 0 || int(s.Starts[len(s.Starts)-1]) > tokens {
		return fmt.Errorf("sequences span rows %d to %d of %d", s.Starts[0], s.Starts[len(s.Starts)-1], tokens)
	}
	clear(s.used)
	for b, slot := range s.Slots {
		if s.Starts[b+1] < s.Starts[b] {
			return fmt.Errorf("sequence %d ends at row %d before it starts at %d", b, s.Starts[b+1], s.Starts[b])
		}
		if slot < 0 || int(slot) >= len(s.used) || s.used[slot] {
			return fmt.Errorf("slot %d of sequence %d is outside 0..%d or used twice", slot, b, len(s.used)-1)
		}
		s.used[slot] = s.Starts[b+1] > s.Starts[b]
	}
	return nil
}
