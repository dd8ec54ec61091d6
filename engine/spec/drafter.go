package spec

import (
	"context"
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
)

// MaxDepth is the most tokens that are drafted for one sequence in one step.
const MaxDepth = 8

// Drafter proposes tokens that sequences may go on with. The goroutine that owns the target's runner calls it, between
// two steps of that.
//
// A drafter is not told step by step what happens to sequences: each [Ask] has all tokens, and a drafter that keeps
// state for a sequence brings it up to date by comparing. What was proposed and not taken is then not among the tokens;
// what a prefix cache, a fork or a truncation did shows in the same way. State that lies in the slots and pages of the
// target's runner (such as that of a layer of the model itself) follows there by itself.
type Drafter interface {
	// Info says what kind of drafter it is. It does not change.
	Info() Info
	// Draft proposes tokens for several sequences at once: one draft for each ask, in their order. A draft without
	// tokens says that the drafter has no guess. It keeps no reference to the asks, and the drafts stay the caller's.
	// An error concerns all of them; the engine then goes on without this drafter.
	Draft(ctx context.Context, asks []Ask) ([]Draft, error)
	// Drafted tells how many tokens of the last draft of a sequence were verified, and how many of them were taken. The
	// policy counts by itself; this is for drafters that learn.
	Drafted(key uint64, verified, taken int)
	// Forget ends what is kept for a sequence. It may be called for one that was never asked for.
	Forget(key uint64)
	// Close frees what the drafter holds. Nothing is called after it.
	Close() error
}

// Info describes a drafter.
type Info struct {
	Name string // in flags and requests: "mtp", "ngram", "draft"
	// Classes is the number of classes of drafts, at least 1, in which the odds of being taken are counted apart.
	Classes int
	// Free says that drafts cost nothing worth measuring: all sequences are then asked for as many as may be useful,
	// and the policy cuts them by their class.
	Free bool
	// Most is the largest Ask.Max that is answered in full; 0 is MaxDepth.
	Most int
}

// Ask is a sequence for which drafts are wanted.
type Ask struct {
	Key  uint64       // names the sequence, and no other of this engine before or after it
	Slot runner.SeqID // its sequence in the target's runner
	// Tokens are all of the prompt and the answer so far. The target's runner holds the first Seen of them; at least
	// one follows, the last of which drafts go on from. They must not be changed.
	Tokens []int32
	Seen   int
	Max    int // most tokens to draft, from 1 to MaxDepth
	// NoText says that Tokens are not what text would be, so that a drafter must learn nothing from them.
	NoText bool
	// Sampler returns a copy of the sampler that the target draws with, as it is behind Tokens but for its constraint.
	// Tokens that a drafter draws with it, of logits like the target's, are those that the target will draw: both use
	// the same random numbers.
	Sampler func() *sample.Sampler
	// Own says that the drafter should draw with random numbers of its own and fill Draft.Probs, where it can: then
	// the tokens need not follow from the seed of the target's sampler, and more of them are taken.
	Own bool
}

// Draft is what a drafter proposes for one sequence.
type Draft struct {
	Tokens []int32 // at most Ask.Max
	// Probs has, for each token, the distribution that it was drawn from with random numbers that nobody else uses, by
	// ascending id and with the token itself. Nil says that the tokens are no matter of chance, or of the target's own:
	// see Ask.Sampler. With Probs, neither Class nor the number of tokens may depend on what was drawn.
	Probs [][]sample.Prob
	Class int // of these tokens, below Info.Classes
	// Fresh says that making the drafts of this call prepared what later ones need not, and took longer for it.
	Fresh bool
}

// Check reports what is wrong with the answer to an ask, for a drafter of the given kind and a vocabulary.
func (d Draft) Check(a Ask, info Info, vocab int) error {
	if len(d.Tokens) > a.Max || d.Class < 0 || d.Class >= max(1, info.Classes) {
		return fmt.Errorf("spec: drafter %s: %d tokens of class %d, asked for %d and with %d classes", info.Name,
			len(d.Tokens), d.Class, a.Max, info.Classes)
	}
	for i, id := range d.Tokens {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("spec: drafter %s: token %d is outside the vocabulary of %d", info.Name, id, vocab)
		}
		if d.Probs == nil {
			continue
		}
		if i >= len(d.Probs) {
			return fmt.Errorf("spec: drafter %s: %d distributions for %d tokens", info.Name, len(d.Probs), len(d.Tokens))
		}
		q := d.Probs[i]
		at, ok := slices.BinarySearchFunc(q, id, func(x sample.Prob, id int32) int { return int(x.ID) - int(id) })
		if !ok || !(q[at].P > 0) {
			return fmt.Errorf("spec: drafter %s: token %d has no probability in its own distribution", info.Name, id)
		}
	}
	return nil
}
