package hipengine

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/bench"
	"github.com/hipengine/hipengine/engine/disk"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/engine/spec"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/eval"
	"github.com/hipengine/hipengine/text/toolcall"
)

// Model is a loaded model with the tokenizer that it embeds. Its methods may be called from several goroutines. It
// holds memory of its host's device until Close.
type Model struct {
	*Tokenizer

	id, path, arch string
	opened         time.Time
	host           *Host
	dev            *device // the first of on
	on             *computer
	promise        *promised
	weights        models.Weights
	source         models.Source  // of the weights
	file           *File          // that weights lie in; nil if they were copied
	runner         *runner.Runner // of the engine, or of what measures
	prompter       prompter
	defaults       sample.Overrides
	pooling        engine.Pooling
	embeds         bool
	parameters     int64
	quantization   string
	ranker         *ranker     // nil if it does not rank
	hostBytes      int64       // for kept states
	states         *disk.Store // nil if they have no folder
	drafters       []spec.Drafter
	depth          spec.Chooser // of drafts; nil is the engine's choice

	traffic   bench.Traffic
	collector *eval.Collector   // with Options.Collect
	names     map[string]string // of the file's tensors, for the collector

	ctx    context.Context // ended by Close
	cancel context.CancelFunc
	close  sync.Once

	mu        sync.Mutex
	engine    *engine.Engine // nil until it is needed, and while something measures
	answering int            // answers under way
	offered   bool           // Engine was called
	measuring chan struct{}  // closed when the measurement is over; nil if there is none
	closed    bool
}

// ID returns the name under which the model is served: see [ModelID].
func (m *Model) ID() string { return m.id }

// Path returns the file or folder of the model; it is empty for the built-in one.
func (m *Model) Path() string { return m.path }

// Architecture returns the name of the architecture, as GGUF spells it.
func (m *Model) Architecture() string { return m.arch }

// Created returns the time of the model's file, or that of Open where there is none.
func (m *Model) Created() time.Time {
	if st, err := os.Stat(m.path); err == nil {
		return st.ModTime()
	}
	return m.opened
}

// Parameters returns how many numbers the weights of the model's file have.
func (m *Model) Parameters() int64 { return m.parameters }

// Quantization names the mixture of types of the weights, as llama.cpp does; it is empty if the file does not say.
func (m *Model) Quantization() string { return m.quantization }

// Embeds reports whether the model was made for embeddings: its file names a pooling that makes a vector.
func (m *Model) Embeds() bool { return m.embeds }

// Device describes the device that the model is on, or several with commas between them.
func (m *Model) Device() DeviceInfo { return infoOf(m.on.ops) }

// Context returns the most tokens that a sequence may hold.
func (m *Model) Context() int { return m.runner.Limits().Context }

// WeightBytes returns what the weights take on the device.
func (m *Model) WeightBytes() int64 { return m.weights.Bytes() }

// Bytes returns the memory of the device that is promised to the model, which Close gives back.
func (m *Model) Bytes() int64 { return m.promise.planned.Need() }

// Limits returns the capacities of the model: its context, and how many answers it makes at once.
func (m *Model) Limits() runner.Limits { return m.runner.Limits() }

// Stats returns what was done for answers since the model was opened, or measured last.
func (m *Model) Stats() engine.Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.engine == nil {
		return engine.Stats{}
	}
	return m.engine.Stats()
}

// Defaults returns the sampling parameters that the model's publisher names.
func (m *Model) Defaults() sample.Overrides { return m.defaults }

// Prompt returns the ids of a conversation up to the start of the model's answer, by the model's template. messages
// and tools are JSON arrays in the form of OpenAI's chat completions, tools nil for none; kwargs are further
// variables of the template, such as enable_thinking; of them, add_generation_prompt and continue_final_message mean
// what they do in Hugging Face's apply_chat_template. A *[ConversationError] says that the template refuses the
// conversation.
func (m *Model) Prompt(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) ([]int32, error) {
	return m.prompter.prompt(messages, tools, kwargs)
}

// Render returns the text of a conversation, by the model's template; the rest is as for Prompt.
func (m *Model) Render(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) (string, error) {
	prompt, err := m.prompter.render(messages, tools, kwargs)
	return prompt.String(), err
}

// ChatTemplate returns the source of the template that conversations are written with: the model's, or ChatML if it
// has none.
func (m *Model) ChatTemplate() string { return m.prompter.templates.main.source }

// TemplateUses reports whether the model's template for conversations names a variable, such as enable_thinking. One
// that it never names changes nothing.
func (m *Model) TemplateUses(variable string) bool { return m.prompter.uses(variable) }

// Format says how the model writes tool calls and thoughts: Options.ToolFormat, or what the markers in its template
// tell.
func (m *Model) Format() *toolcall.Format { return m.prompter.format }

// Engine returns the engine that makes the model's answers, for a server. It stays the model's, which closes it, and
// from then on the model can no longer be measured.
func (m *Model) Engine() (*engine.Engine, error) {
	e, err := m.enter()
	if err != nil {
		return nil, err
	}
	defer m.leave()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.offered = true
	return e, nil
}

// enter announces an answer, and returns the engine that makes it. Each call needs one of leave.
func (m *Model) enter() (*engine.Engine, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return nil, ErrClosed
	case m.measuring != nil:
		return nil, ErrBusy
	}
	if m.engine == nil {
		e, err := engine.New(engine.Config{Runner: m.runner, EOG: m.tok.IsEOG,
			Piece:       func(id int32) ([]byte, bool) { return m.tok.Piece(id, false), m.tok.IsMarker(id) },
			TurnStart:   m.prompter.turnStart,
			Checkpoints: m.runner.Limits().Checkpoints, HostBytes: m.hostBytes, Disk: m.states,
			Drafters: m.drafters, Depth: m.depth, DrafterFailed: m.drafterFailed})
		if err != nil {
			return nil, err
		}
		m.engine = e
	}
	m.answering++
	return m.engine, nil
}

func (m *Model) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answering--
}

// alone lets f use the runner while no answer is made. Its context ends with the model's too.
func (m *Model) alone(ctx context.Context, f func(ctx context.Context, r *runner.Runner) error) error {
	m.mu.Lock()
	switch {
	case m.closed:
		m.mu.Unlock()
		return ErrClosed
	case m.answering > 0 || m.offered || m.measuring != nil:
		m.mu.Unlock()
		return ErrBusy
	}
	over := make(chan struct{})
	e := m.engine
	m.measuring, m.engine = over, nil
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.measuring = nil
		m.mu.Unlock()
		close(over)
	}()
	if e != nil { // no sequence is left in it, but its goroutine may still be dropping the last one
		if err := e.Close(context.Background()); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(m.ctx, func() { cancel(ErrClosed) })()
	return f(ctx, m.runner)
}

// Close ends what the model is doing and frees its memory. Answers under way end with [ErrClosed]; Close waits for the
// step that runs. Later calls do nothing and return nil.
func (m *Model) Close() (err error) {
	m.close.Do(func() { err = m.end() })
	return err
}

func (m *Model) end() error {
	m.mu.Lock()
	m.closed = true
	e, measuring := m.engine, m.measuring
	m.mu.Unlock()
	m.cancel()
	var errs []error
	if e != nil {
		e.Close(m.ctx) // returns the cause of ctx's end, which is us
	}
	if measuring != nil {
		<-measuring
	}
	if m.states != nil {
		errs = append(errs, m.states.Close())
	}
	for _, d := range m.drafters {
		errs = append(errs, d.Close())
	}
	if m.runner != nil {
		errs = append(errs, m.runner.Close())
	}
	errs = append(errs, m.weights.Free())
	if m.file != nil {
		errs = append(errs, m.file.Close())
	}
	if m.promise != nil {
		m.promise.release()
	}
	m.on.done()
	m.host.forget(m)
	return errors.Join(errs...)
}
