package runner

import "fmt"

// SeqID names an open sequence of a Runner. Ids are reused after Release.
type SeqID int

// PromptRows is the number of rows of prompts in a step that memory is planned for, beside one of each sequence.
const PromptRows = 32

// Work is what one sequence contributes to a step.
type Work struct {
	Seq    SeqID
	Tokens []int32 // appended to the sequence by this step; at least one
	Rows   int     // outputs are returned for the last Rows of Tokens; 0 while a prompt is only partly in

	// Rewind is how many of Tokens, from the end, Truncate can take back until the next step: fewer than Tokens, at most
	// Limits.Rewinds, and of all work together at most Limits.RewindTokens. Models without recurrent state need not be
	// told.
	Rewind int

	// Embeds are rows of n_embd numbers that enter the first layer in place of tokens, such as those of an image: that
	// of Tokens[i] is Embeds[EmbedIDs[i]], or the token's own where the index is negative. EmbedIDs is nil if there
	// are none.
	Embeds   [][]float32
	EmbedIDs []int32
}

// CutsAnywhere reports whether sequences can be cut to any length at any time.
func (l Limits) CutsAnywhere() bool { return l.Rewinds >= l.Context }

// checkEmbeds reports what is wrong with the rows that replace tokens.
func (w Work) checkEmbeds(embd int) error {
	if w.EmbedIDs == nil && len(w.Embeds) == 0 {
		return nil
	}
	if len(w.EmbedIDs) != len(w.Tokens) {
		return fmt.Errorf("runner: sequence %d: %d indices of embeddings for %d tokens", w.Seq, len(w.EmbedIDs),
			len(w.Tokens))
	}
	for i, id := range w.EmbedIDs {
		if int(id) >= len(w.Embeds) {
			return fmt.Errorf("runner: sequence %d: embedding %d at %d of %d", w.Seq, id, i, len(w.Embeds))
		}
	}
	for i, row := range w.Embeds {
		if len(row) != embd {
			return fmt.Errorf("runner: sequence %d: embedding %d has %d numbers, the model's have %d", w.Seq, i,
				len(row), embd)
		}
	}
	return nil
}

// Limits are the fixed capacities of a Runner.
type Limits struct {
	Vocab   int // length of a logits row
	Embd    int // length of a hidden state
	Context int // most tokens that one sequence may hold
	Seqs    int // most sequences open at once
	Batch   int // most tokens in one step, over all its sequences

	// Encoder says that StepHidden alone is possible, once for a sequence: with all of its tokens.
	Encoder bool

	// Top is the most that StepTop can be asked for; 0 if the device does not find the largest logits.
	Top int

	// Checkpoints is how many states there is room for beside the open sequences.
	Checkpoints int

	// Rewinds is how many tokens of its last step can be taken back of a sequence: Context if it can be cut to any
	// length, as those whose states are keys and values alone; a page where attention has a window; of models with
	// recurrent state those of Options.Rewind, if the step had them in Work.Rewind, and 0 on a device that has no
	// kernels for that. RewindTokens is how many that can be of all sequences of a step.
	Rewinds, RewindTokens int

	Drafts int // most tokens that Draft can be asked for; 0: the model's draft layer is not there, or not in use

	// FrequentTokens is how many of the first tokens Draft makes cheap guesses of; 0 if all are as cheap.
	FrequentTokens int

	KVTokens  int  // that the cache of keys and values holds over all sequences; 0: Seqs of Context
	Invariant bool // see Options
}
