package spec

import "time"

// Chooser decides how many tokens are drafted: see [Policy].
type Chooser interface {
	Choose(members []Member, sequences, tokens, room int) []int
	Drafted(drafter string, sequences, most int, took time.Duration, fresh bool)
	Stepped(s Step, outcomes []Outcome)
	Forget(key uint64)
}

// Fixed always drafts the same number of tokens for each sequence, as far as there is room. It is for measurements and
// tests.
type Fixed int

// Choose implements Chooser.
func (f Fixed) Choose(members []Member, _, _, room int) []int {
	depth := make([]int, len(members))
	for i, m := range members {
		depth[i] = min(int(f), m.Most, room)
		room -= depth[i]
	}
	return depth
}

// Drafted implements Chooser.
func (Fixed) Drafted(string, int, int, time.Duration, bool) {}

// Stepped implements Chooser.
func (Fixed) Stepped(Step, []Outcome) {}

// Forget implements Chooser.
func (Fixed) Forget(uint64) {}
