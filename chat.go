package hipengine

import (
	"context"
	"encoding/json"
	"errors"
	"iter"

	"github.com/hipengine/hipengine/engine"
)

// Piece is a token of an answer.
type Piece struct {
	// Text is what became certain with this token: empty while a character, or what may be a stop text, is incomplete.
	// The texts of all pieces, joined, are the answer.
	Text    string
	Token   int32
	Finish  string  // of the last piece: [FinishStop] or [FinishLength]; else empty
	Guessed Guessed // of the whole answer, with the last piece
}

// Guessed counts the tokens of an answer that were guessed ahead, as [Options.Spec] says.
type Guessed struct {
	Steps  int // of the model that checked guesses; each gave one token more than guesses that were right
	Tokens int // guesses
	Right  int // of these
}

// Why an answer ended.
const (
	FinishStop   = string(engine.FinishStop)   // the model ended it, or a stop text did
	FinishLength = string(engine.FinishLength) // Params.MaxTokens, or the context
)

// Chat answers messages, oldest first, through the model's chat template. Text inside them is the user's.
//
// The work starts when the iterator is ranged over, which blocks between pieces. An error comes last and ends the
// iteration: *[ParamsError], *[ContextLengthError], *[ConversationError], [ErrQueueFull], [ErrBusy], [ErrClosed], or
// the cause of ctx's end; others say what failed. Leaving the loop ends the work.
func (m *Model) Chat(ctx context.Context, messages []Message, p Params) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		raw, err := json.Marshal(messages)
		if m.Limits().Encoder { // whatever its template would make of them
			err = ErrEncoder
		}
		if err == nil {
			var ids []int32
			if ids, err = m.Prompt(raw, p.Tools, p.Template); err == nil {
				m.answer(ctx, ids, true, m.tok.NewStream(false), p, yield)
				return
			}
		}
		yield(Piece{}, err)
	}
}

// Generate goes on with a text, without a template. Texts of special tokens in it stand for the tokens, so that it is
// not for text that users wrote: encode that with [Tokenizer.Encode] and call [Model.GenerateTokens]. Otherwise it is
// as Chat.
func (m *Model) Generate(ctx context.Context, text string, p Params) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		ids, err := m.EncodePrompt(text)
		if err != nil {
			yield(Piece{}, err)
			return
		}
		m.answer(ctx, ids, false, m.tok.NewContinuation(false), p, yield)
	}
}

// GenerateTokens goes on with ids, of which there must be one at least. Otherwise it is as Generate.
func (m *Model) GenerateTokens(ctx context.Context, ids []int32, p Params) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		m.answer(ctx, ids, false, m.tok.NewContinuation(false), p, yield)
	}
}

// answer makes an answer to ids, which may be a conversation.
func (m *Model) answer(ctx context.Context, ids []int32, conversation bool, d engine.Decoder, p Params,
	yield func(Piece, error) bool) {
	fail := func(err error) {
		if errors.Is(err, engine.ErrClosed) {
			err = ErrClosed
		}
		yield(Piece{}, err)
	}
	if m.Limits().Encoder {
		fail(ErrEncoder)
		return
	}
	sampling, err := m.sampling(p)
	if err != nil {
		fail(err)
		return
	}
	e, err := m.enter()
	if err != nil {
		fail(err)
		return
	}
	defer m.leave()
	if conversation {
		ids = e.Verbatim("", ids)
	}
	var thoughts *engine.Thoughts
	if conversation && p.ThinkingBudget != nil {
		if thoughts, err = m.thoughts(ids, *p.ThinkingBudget); err != nil {
			fail(err)
			return
		}
	}
	seq, err := e.Submit(ctx, engine.Request{
		Thoughts: thoughts,
		Prompt:   ids, MaxTokens: p.MaxTokens, Sampling: sampling, Decoder: d, Stop: p.Stop, StopTokens: p.StopTokens,
		IgnoreEOG: p.IgnoreEOS, Drafter: p.Spec, MaxDrafts: p.MaxGuesses,
		Unseeded: p.Seed == nil && m.defaults.Seed == nil,
	})
	if err != nil {
		fail(err)
		return
	}
	for t, err := range seq.Tokens() {
		if err != nil {
			fail(err)
			return
		}
		p := Piece{Text: t.Text, Token: t.ID, Finish: string(t.Finish)}
		if p.Finish != "" {
			s := seq.Speculated()
			p.Guessed = Guessed{Steps: s.Rounds, Tokens: s.Accepted + s.Rejected, Right: s.Accepted}
		}
		if !yield(p, nil) {
			return
		}
	}
}

// thoughts bounds the thoughts behind a prompt; nil if they are not bounded, or the model has none.
func (m *Model) thoughts(prompt []int32, budget int) (*engine.Thoughts, error) {
	opener, closers, end := m.Format().Thoughts()
	if budget < 0 || opener == "" {
		return nil, nil
	}
	ids, err := m.EncodeText(end, false, true)
	const tail = 8 // tokens in which the opener is
	open := m.Format().Opens(m.Decode(prompt[max(0, len(prompt)-tail):], true))
	return &engine.Thoughts{Budget: budget, Open: open, Opener: opener, Closers: closers, End: ids}, err
}
