package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/serve/openai"
	"github.com/hipengine/hipengine/serve/tracing"
	"github.com/hipengine/hipengine/text/grammar"
	"github.com/hipengine/hipengine/text/toolcall"
)

// Config is what a server is made of. The zero value of each field is usable.
type Config struct {
	Models []Model // may also come later, through SetModels

	Limits openai.Limits

	// Sampling goes before the models' own defaults, and a request before it.
	Sampling sample.Overrides

	// Keys are given as they are, or as "sha256:" and the hash in hexadecimal. Of either kind, the hash alone is kept.
	APIKeys   []string // any of them opens the /v1 endpoints; none means that no key is asked for
	AdminKeys []string // any of them opens the /admin endpoints; none means that nobody gets in
	// LlamaRoutes are the parts of llama.cpp's own API that are offered, such as [LlamaCompletion]. With any, the error of a
	// prompt that does not fit has the type that llama.cpp gives it.
	LlamaRoutes []string

	// Aliases are further names of models, each with the ID that it stands for. AnyName lets any name mean the model,
	// as long as there is only one.
	Aliases map[string]string
	Tags    map[string][]string // words about a model, by its ID, for those who list models
	AnyName bool

	MaxPerKey int // requests of one API key at once; 0 is no bound

	// AllowedHosts are host names to answer to, beside loopback names, on connections to loopback addresses: names, *.NAME
	// for all below one, or * for any.
	AllowedHosts   []string
	AllowedOrigins []string // origins of web pages that may call, beside loopback ones; "*" is any
	AllowPublic    bool     // listen beyond loopback without an API key
	NoPage         bool     // leave out the page for browsers
	NoMetrics      bool     // leave out /metrics

	// SealKey is the secret that thoughts are sealed with for clients that keep conversations by themselves. Servers that
	// have the same take each other's. An empty one is drawn, so that they are good until the program ends.
	SealKey string

	StoredBytes int64 // of responses that are kept for requests that go on from them; 0 is 64 MiB, negative keeps none

	MaxConns       int           // connections open at once; 0 is 512
	PingInterval   time.Duration // silence on a stream before a comment is sent; 0 is 15 s
	HeaderTimeout  time.Duration // to receive a request's headers; 0 is 10 s
	IdleTimeout    time.Duration // of a connection between requests; 0 is 2 min
	ReadTimeout    time.Duration // to receive a request's body; 0 is 30 s
	WriteTimeout   time.Duration // for one write of a response; 0 is 30 s
	RequestTimeout time.Duration // for a whole request; 0 is none
	DrainDelay     time.Duration // between readiness going to 503 and the end of accepting connections

	Tracer  *tracing.Tracer // of requests below /v1; the caller closes it, after Shutdown. Nil traces nothing
	Log     *slog.Logger    // nil discards
	Version string          // of the program, for the metrics

	// Reasoning is what becomes of thoughts where a chat request says nothing of them: [ReasoningOn] and [ReasoningOff]
	// tell the templates that know of it, and with the latter there are none. Empty leaves it to the template.
	Reasoning string

	// Lenient accepts variables for chat templates that change nothing, since the model's does not know them.
	Lenient bool
}

// WithDefaults returns c with the values that zeros stand for.
func (c Config) WithDefaults() Config {
	c.Limits = c.Limits.WithDefaults()
	if c.MaxConns == 0 {
		c.MaxConns = 512
	}
	if c.StoredBytes == 0 {
		c.StoredBytes = 64 << 20
	}
	for _, d := range []struct {
		p *time.Duration
		v time.Duration
	}{
		{&c.PingInterval, 15 * time.Second}, {&c.HeaderTimeout, 10 * time.Second}, {&c.IdleTimeout, 2 * time.Minute},
		{&c.ReadTimeout, 30 * time.Second}, {&c.WriteTimeout, 30 * time.Second},
	} {
		if *d.p == 0 {
			*d.p = d.v
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Model is a model that the server offers. The server does not close its engine.
type Model struct {
	ID        string    // name in requests; it may contain slashes
	Created   time.Time // as the list of models reports it
	Engine    *engine.Engine
	Tokenizer Tokenizer
	Prompt    PromptFunc // nil if the model has no chat template; it then offers completions alone
	Render    RenderFunc // the text that Prompt makes ids of; nil exactly if Prompt is
	// Uses reports whether the chat template names a variable; nil if nobody knows.
	Uses     func(variable string) bool
	Template string // source of the chat template, for clients that ask
	File     string // name of the model's file, without its folder; empty if it has none
	Infill   InfillTokens
	Defaults sample.Overrides

	Details Details

	// Pooling makes one vector of the hidden states of a text's tokens.
	Pooling engine.Pooling
	// Ranker ranks documents; nil if the model was not made for it.
	Ranker engine.Ranker

	// Vocabulary returns the tokens for grammars; nil if the model's text cannot be held to a form.
	Vocabulary func() (*grammar.Vocabulary, error)
	// Format is how the model writes calls and thoughts; nil if it knows neither.
	Format *toolcall.Format
}

// Tokenizer is what the server needs of a tokenizer. Its methods are called from several goroutines.
type Tokenizer interface {
	// EncodePrompt returns the ids of a text to go on with, in which the texts of special tokens stand for them. What
	// the model expects before a text, such as BOS, is added unless the text begins with it.
	EncodePrompt(text string) ([]int32, error)
	// EncodeText returns the ids of a text. With addSpecial, what the model expects round a text is added, such as
	// BOS; with parseSpecial, the texts of special tokens stand for them.
	EncodeText(text string, addSpecial, parseSpecial bool) ([]int32, error)
	// EOG returns the ids that end a generation.
	EOG() []int32
	// BOSText and EOSText return the texts of the tokens with which texts begin and end; empty if there are none.
	BOSText() string
	EOSText() string
	// Decode returns the bytes of ids, with the text of special tokens if special is set.
	Decode(ids []int32, special bool) string
	// Piece returns the bytes of one id, which may be parts of characters; of special tokens those of their text if
	// special is set.
	Piece(id int32, special bool) []byte
	// NewStream returns a decoder for one sequence.
	NewStream(special bool) engine.Decoder
}

// PromptFunc applies a chat template to a conversation in the form of [openai.ChatRequest] and returns its ids; tools
// is nil if there are none. They end with the start of the assistant's message, and text of the conversation has not
// become special tokens. An error that wraps [ErrConversation] means that the template refuses the conversation. It is
// called from several goroutines.
type PromptFunc func(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) ([]int32, error)

// RenderFunc is a PromptFunc that returns the text.
type RenderFunc func(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) (string, error)

// ErrConversation marks errors of a PromptFunc that are the client's: they give status 400 and their message.
var ErrConversation = errors.New("the chat template refuses the conversation")

// check reports a model that lacks a part.
func (m *Model) check() error {
	switch {
	case m.ID == "":
		return errors.New("serve: a model has no id")
	case m.Engine == nil:
		return fmt.Errorf("serve: model %q has no engine", m.ID)
	case m.Tokenizer == nil:
		return fmt.Errorf("serve: model %q has no tokenizer", m.ID)
	}
	if err := m.Defaults.Apply(sample.Defaults()).Validate(m.Engine.Limits().Vocab); err != nil {
		return fmt.Errorf("serve: sampling defaults of model %q: %w", m.ID, err)
	}
	return nil
}
