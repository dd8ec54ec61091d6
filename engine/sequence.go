package engine

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
)

// Decoder turns the ids of one sequence into text, piece by piece. A piece may be empty while bytes of a character
// are missing. Only the engine's goroutine calls it.
type Decoder interface {
	Push(id int32) string
	Flush() string // what is left when no more ids come
}

// Request is what a sequence is to generate.
type Request struct {
	Prompt []int32 // at least one token; Submit copies it
	Space  string  // states kept of sequences are used within their space alone: one for each API key, say
	// most tokens to generate, the end-of-generation token included; 0 is what the context allows, which is never
	// exceeded
	MaxTokens int
	Sampling  sample.Params // its LogitBias must not change while the sequence runs; Ends are set by the engine
	IgnoreEOG bool          // end-of-generation tokens are tokens like any other; not with a constraint

	// Decoder makes the text of the tokens. With nil, tokens have no text and Stop must be empty.
	Decoder Decoder
	Stop    []string // strings that end the text and are not part of it; looked for behind Sampling.MinTokens

	Thoughts *Thoughts // bounds them; nil does not, and without a decoder there are none

	StopTokens []int32 // further tokens that end the generation, as end-of-generation tokens do

	Logprobs    bool // fill Token.Logprob and Token.Top
	TopLogprobs int  // length of Token.Top
	Sampled     bool // they are of what the sampler has left, of which Token.Top may hold fewer; not of the prompt

	// PromptLogprobs fills Sequence.PromptLogprobs; with Logprobs alone. The prompt is then read in pieces of
	// runner.PromptRows tokens at most, and nothing that is kept of others is used.
	PromptLogprobs bool

	// Drafter names that of the engine which guesses tokens: empty is the first, NoDrafter none. MaxDrafts is the most
	// tokens that it guesses at once; 0 leaves that to the engine.
	Drafter   string
	MaxDrafts int
	// Unseeded says that the tokens need not follow from Sampling.Seed: then more drafts are taken.
	Unseeded bool

	Observer Observer // nil is nobody
}

// FinishReason says why a sequence ended, in OpenAI's words.
type FinishReason string

// The reasons.
const (
	FinishNone   FinishReason = ""       // more tokens follow
	FinishStop   FinishReason = "stop"   // an end-of-generation token or a stop string
	FinishLength FinishReason = "length" // MaxTokens
)

// Token is one step of a sequence's output.
type Token struct {
	ID int32
	// Text is what became certain with this token: empty while a character or a possible stop string is incomplete.
	// The texts of all tokens, joined, are the output.
	Text string
	// Start is the number of bytes of the output, before a stop string cut it, that the texts of the tokens before
	// this one make. A token is part of the output if that reaches beyond its Start, or ends without a stop string.
	Start   int
	EOG     bool // the token ended the generation; its own text is not part of the output
	Logprob float32
	Top     []sample.Logprob // the most likely tokens, best first
	Finish  FinishReason     // set on the last token alone

	StopString string // that ended the text; empty if something else did
}

// Sequence is a submitted request. Its tokens are read by one goroutine.
type Sequence struct {
	req    Request
	ctx    context.Context
	cancel context.CancelFunc

	// Of the engine's goroutine.
	slot    runner.SeqID
	open    bool // slot is valid
	sampler *sample.Sampler
	top     int // logits of highest rank that a draw needs; 0: all
	stop    *StopMatcher
	// tokens that the runner has not seen: the rest of the prompt, or the last token and those it forces
	pending   []int32
	last      [1]int32
	ids       []int32          // the prompt and what was drawn and goes to the runner
	parked    *runner.Snapshot // its state while it makes room for others
	stored    *stored          // its state from the disk; nil until the disk was asked
	marks     []int            // lengths of the prompt at which its state is kept
	decode    bool             // the prompt is in
	number    uint64           // of its admission
	idle      int              // steps since it was last part of one
	choices   *choices         // it shares its prompt with; nil if nobody
	thinking  *thinking        // nil if it is not bounded
	script    []int32          // tokens that must come next
	ending    bool             // they end thoughts
	embedding *embedding       // what the prompt is read for; nil: to draw tokens behind it
	generated int
	decoded   int // bytes that the decoder has returned
	drafted   int // tokens of the step that is being verified
	ahead     int // of these, which are in the runner's state and not among ids
	held      int // tokens in the runner's state after the last step; written under the engine's mutex

	mu     sync.Mutex
	tokens []Token // drawn and not yet taken; at most MaxTokens
	prompt []Token // with log-probabilities
	cached int     // tokens of the prompt that were not read

	speculated Speculated
	err        error
	done       bool
	ready      chan struct{} // of capacity 1: tokens, err or done changed
}

// Tokens yields the tokens as they are drawn. It ends after a token with a finish reason or with an error: the cause
// of the context's end, [ErrClosed], or what went wrong in the step. Leaving the loop early cancels the sequence.
func (s *Sequence) Tokens() iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		defer s.cancel()
		cancelled := false
		for {
			tokens, done, err := s.take()
			for _, t := range tokens {
				if !yield(t, nil) {
					return
				}
			}
			switch {
			case done && err != nil:
				yield(Token{}, err)
				return
			case done:
				return
			case cancelled:
				yield(Token{}, context.Cause(s.ctx))
				return
			}
			select {
			case <-s.ready:
			case <-s.ctx.Done():
				// A sequence that has ended is also cancelled, so look once more.
				cancelled = true
			}
		}
	}
}

// Cancel ends the sequence before its next step. It may be called at any time and from any goroutine.
func (s *Sequence) Cancel() { s.cancel() }

// Cached returns how many tokens of the prompt were not read, because the state that they lead to was kept. It is
// final when the first token is there. Of choices, which share what is read, it is that of the one that read.
func (s *Sequence) Cached() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cached
}

func (s *Sequence) setCached(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cached = n
}

// fed returns the tokens that the runner has seen.
func (s *Sequence) fed() []int32 { return s.ids[:len(s.ids)-len(s.pending)] }

// takes returns how many tokens the sequence could take in one step, in which it may have this many rows of a prompt.
func (s *Sequence) takes(rows int) int {
	if s.decode {
		return len(s.pending)
	}
	n := upTo(len(s.ids), len(s.ids)-len(s.pending), s.marks)
	if s.req.PromptLogprobs {
		n = min(n, rows)
	}
	return n
}

// rows returns how many rows of outputs the sequence wants of its next n tokens.
func (s *Sequence) rows(n int) int {
	last := n == len(s.pending)
	switch {
	case s.embedding != nil:
		return s.embedding.rows(n, last)
	case s.req.PromptLogprobs && !s.decode:
		return n
	case last:
		return 1
	}
	return 0
}

// take removes and returns the tokens that wait for the consumer.
func (s *Sequence) take() (tokens []Token, done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tokens, s.tokens = s.tokens, nil
	return tokens, s.done, s.err
}

// emit hands a token to the consumer without waiting for it.
func (s *Sequence) emit(t Token) {
	s.mu.Lock()
	s.tokens = append(s.tokens, t)
	s.mu.Unlock()
	s.signal()
}

// end marks the sequence as over.
func (s *Sequence) end(err error) {
	s.mu.Lock()
	s.done, s.err = true, err
	s.mu.Unlock()
	s.signal()
	s.cancel()
}

func (s *Sequence) signal() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// accept takes a token into the sequence and returns it with its text and finish reason.
func (s *Sequence) accept(t Token, eog bool) Token {
	s.sampler.Accept(t.ID)
	s.generated++
	t.EOG = eog && !s.req.IgnoreEOG || slices.Contains(s.req.StopTokens, t.ID)
	t.Start = s.decoded
	if s.req.Decoder != nil && !t.EOG {
		t.Text = s.say(s.req.Decoder.Push(t.ID))
	}
	switch {
	case t.EOG || s.stop.Stopped():
		t.Finish = FinishStop
	case s.generated == s.req.MaxTokens:
		t.Finish = FinishLength
	default:
		return t
	}
	if s.req.Decoder != nil && !s.stop.Stopped() {
		t.Text += s.say(s.req.Decoder.Flush())
		if !s.stop.Stopped() {
			t.Text += s.stop.Flush()
		}
	}
	if t.StopString = s.stop.Match(); t.StopString != "" {
		t.Finish = FinishStop
	}
	return t
}

// say takes what the decoder returned and returns what is sure to be part of the output.
func (s *Sequence) say(text string) string {
	s.decoded += len(text)
	if s.thinking != nil {
		s.thinking.take(text)
	}
	if s.generated < s.req.Sampling.MinTokens {
		return text
	}
	out, _ := s.stop.Push(text)
	return out
}
