package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/text/grammar"
	"github.com/hipengine/hipengine/text/toolcall"
)

// Loaded is a loaded model as the library has it: a *hipengine.Model. Its methods are called from several goroutines.
type Loaded interface {
	Tokenizer
	ID() string
	Created() time.Time
	// Prove allocates what the largest step needs, so that no request can run out of memory.
	Prove(ctx context.Context) error
	// Engine returns the engine that makes the model's answers. It stays the model's.
	Engine() (*engine.Engine, error)
	// Prompt is as [PromptFunc]. An error that has a method Refused() string, which returns the template's words,
	// means that the template refuses the conversation.
	Prompt(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) ([]int32, error)
	// Render is as [RenderFunc], with errors as those of Prompt.
	Render(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) (string, error)
	ChatTemplate() string
	// TemplateUses reports whether the chat template names a variable.
	TemplateUses(variable string) bool
	// Path returns the model's file or folder; it is empty if there is none.
	Path() string
	// InfillTokens returns what [InfillTokens] are made of.
	InfillTokens() (prefix, suffix, middle, repo, file int32)
	Defaults() sample.Overrides
	// Architecture, Parameters, Quantization and Embeds are as the fields of [Details], Pooling and Ranker as those of
	// [Model].
	Architecture() string
	Parameters() int64
	Quantization() string
	Embeds() bool
	Pooling() engine.Pooling
	Ranker() engine.Ranker
	Vocabulary() (*grammar.Vocabulary, error)
	// Format says how the model writes calls and thoughts.
	Format() *toolcall.Format
}

// Offer proves a loaded model, and presents it to a server. The caller closes it, after the server's Shutdown.
func Offer(ctx context.Context, m Loaded) (Model, error) {
	if err := m.Prove(ctx); err != nil {
		return Model{}, err
	}
	return offer(m)
}

// offer presents a model that is proven.
func offer(m Loaded) (Model, error) {
	e, err := m.Engine()
	if err != nil {
		return Model{}, err
	}
	prompt := func(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) ([]int32, error) {
		ids, err := m.Prompt(messages, tools, kwargs)
		return ids, conversationError(err)
	}
	render := func(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) (string, error) {
		text, err := m.Render(messages, tools, kwargs)
		return text, conversationError(err)
	}
	file := ""
	if path := m.Path(); path != "" {
		file = filepath.Base(path)
	}
	var infill InfillTokens
	infill.Prefix, infill.Suffix, infill.Middle, infill.Repo, infill.File = m.InfillTokens()
	return Model{Infill: infill, ID: m.ID(), Created: m.Created(), Engine: e, Tokenizer: m, Prompt: prompt,
		Render:   render,
		Uses:     m.TemplateUses,
		Template: m.ChatTemplate(), File: file, Defaults: m.Defaults(), Vocabulary: m.Vocabulary, Format: m.Format(),
		Pooling: m.Pooling(), Ranker: m.Ranker(),
		Details: Details{m.Architecture(), m.Parameters(), m.Quantization(), m.Embeds()}}, nil
}

// conversationError marks what a template says against a conversation.
func conversationError(err error) error {
	var refused interface{ Refused() string }
	if errors.As(err, &refused) {
		return fmt.Errorf("%w: %s", ErrConversation, refused.Refused())
	}
	return err
}
