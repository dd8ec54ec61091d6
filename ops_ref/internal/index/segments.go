package index

import "fmt"

// Segments says which rows of a step are of which sequence, all of whose tokens are in the step.
type Segments struct {
	Seq    []int32 // of each row; negative for padding
	Starts []int32 // rows Starts[i] to Starts[i+1]-1 are of sequence i
}

// Check returns an error unless each row that is no padding lies in its sequence, and the sequences in the step.
func (s Segments) Check() error {
	for i, first := range s.Starts {
		if first < 0 || int(first) > len(s.Seq) || i > 0 && first < s.Starts[i-1] {
			return fmt.Errorf("sequence %d starts at row %d of %d, or before the one in front of it", i, first, len(s.Seq))
		}
	}
	for t, seq := range s.Seq {
		if seq < 0 {
			continue
		}
		if int(seq) >= len(s.Starts)-1 || t < int(s.Starts[seq]) || t >= int(s.Starts[seq+1]) {
			return fmt.Errorf("row %d is not among those of its sequence %d", t, seq)
		}
	}
	return nil
}

// Seen returns the rows that row t sees, from first to end-1: those of its sequence that are at most reach rows away,
// or all of them if reach is 0; none for padding.
func (s Segments) Seen(t, reach int) (first, end int) {
	seq := s.Seq[t]
	if seq < 0 {
		return 0, 0
	}
	first, end = int(s.Starts[seq]), int(s.Starts[seq+1])
	if reach > 0 {
		first, end = max(first, t-reach), min(end, t+reach+1)
	}
	return first, end
}
