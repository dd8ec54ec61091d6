package index

import "fmt"

// Sequences says which rows of a step are of which sequence, and where its state is.
type Sequences struct {
	Starts []int32

	slots []int32 // width of each sequence
	width int
	used  []bool // by place
}

// NewSequences returns the sequences of a step: rows Starts[i] to Starts[i+1]-1 are of that with row i of slots, each
// one of so many places of the state. Where rows of slots are longer than 1, the others are of states that are kept.
func NewSequences(starts, slots []int32, places int) *Sequences {
	return &Sequences{Starts: starts, slots: slots, width: len(slots) / (len(starts) - 1), used: make([]bool, places)}
}

// Len returns the number of sequences.
func (s *Sequences) Len() int { return len(s.Starts) - 1 }

// End returns the number of rows that are of a sequence: those behind are padding.
func (s *Sequences) End() int { return int(s.Starts[s.Len()]) }

// Slot returns the place of the state of sequence b.
func (s *Sequences) Slot(b int) int { return int(s.slots[b*s.width]) }

// Kept returns the place to which the state goes that row t leaves, which is of sequence b, beside that of the
// sequence; -1 if it is not kept, as the last one.
func (s *Sequences) Kept(b, t int) int {
	j := int(s.Starts[b+1]) - 1 - t
	if j < 1 || j >= s.width {
		return -1
	}
	return max(-1, int(s.slots[b*s.width+j]))
}

// Keeps reports whether a state of sequence b is kept beside the last.
func (s *Sequences) Keeps(b int) bool {
	for j := 1; j < min(s.width, int(s.Starts[b+1]-s.Starts[b])); j++ {
		if s.slots[b*s.width+j] >= 0 {
			return true
		}
	}
	return false
}

// Check returns an error unless starts rise from 0 to at most tokens and the slots of sequences that have tokens, with
// those of states that they keep, are distinct places of the state. It allocates nothing.
func (s *Sequences) Check(tokens int) error {
	if s.Starts[0] != 0 || int(s.Starts[len(s.Starts)-1]) > tokens {
		return fmt.Errorf("sequences span rows %d to %d of %d", s.Starts[0], s.Starts[len(s.Starts)-1], tokens)
	}
	clear(s.used)
	for b := range s.Len() {
		n := int(s.Starts[b+1] - s.Starts[b])
		if n < 0 {
			return fmt.Errorf("sequence %d ends at row %d before it starts at %d", b, s.Starts[b+1], s.Starts[b])
		}
		for j, slot := range s.slots[b*s.width:][:s.width] {
			if j > 0 && (slot < 0 || j >= n) {
				continue // nothing is kept there
			}
			if slot < 0 || int(slot) >= len(s.used) || s.used[slot] {
				return fmt.Errorf("slot %d of sequence %d is outside 0..%d or used twice", slot, b, len(s.used)-1)
			}
			s.used[slot] = n > 0
		}
	}
	return nil
}
