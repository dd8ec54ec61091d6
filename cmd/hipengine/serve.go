package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/serve"
	"github.com/hipengine/hipengine/text/chat"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// serveCmd runs the server.
type serveCmd struct {
	modelFlags
	Model    []string      `arg:"" optional:"" help:"Model files, or names; without any, Ember."`
	Host     string        `default:"127.0.0.1" env:"HIPENGINE_HOST" help:"Address to listen on."`
	Port     int           `default:"8080" env:"HIPENGINE_PORT" help:"Port to listen on; 0 takes a free one."`
	Parallel int           `default:"4" env:"HIPENGINE_PARALLEL" help:"Sequences that run at once; more wait in a queue."`
	APIKey   []string      `env:"HIPENGINE_API_KEY" placeholder:"KEY" help:"Key that clients must send; may be given several times."`
	Origin   []string      `placeholder:"URL" help:"Origin of web pages that may call, beside loopback ones."`
	Public   bool          `help:"Listen beyond this machine without an API key."`
	Grace    time.Duration `default:"30s" help:"Time that running answers get when the server is told to stop."`
	Log      string        `enum:"text,json,none" default:"text" help:"Log of requests: text, json or none. Prompts are never logged."`
}

// Run executes the command.
func (c *serveCmd) Run(ctx context.Context, std stdio) error {
	if c.Port < 0 || c.Port > 65535 || c.Parallel < 1 || c.Parallel > 1024 {
		return usageError{fmt.Errorf("--port %d or --parallel %d is outside 0..65535 or 1..1024", c.Port, c.Parallel)}
	}
	server, err := serve.New(serve.Config{APIKeys: c.APIKey, AllowedOrigins: c.Origin, AllowPublic: c.Public, Log: c.logger(std)})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()

	names := c.Model
	if len(names) == 0 {
		names = []string{""}
	}
	// Health checks answer 503 until SetModels. The models are closed when the server has stopped using them.
	var offered []serve.Model
	for _, name := range names {
		m, err := c.open(ctx, name, c.Parallel, std.err)
		if err != nil {
			return errors.Join(err, server.Shutdown(ctx))
		}
		defer m.close()
		e, err := engine.New(engine.Config{Runner: m.runner, EOG: m.tok.IsEOG})
		if err != nil {
			return err
		}
		defer e.Close(context.Background())
		offered = append(offered, m.offer(e))
	}
	if err := server.SetModels(offered...); err != nil {
		return err
	}
	select {
	case err := <-served: // it never came up
		return err
	default:
	}
	for _, m := range offered {
		fmt.Fprintf(std.err, "hipengine: serving %s on http://%s/v1\n", m.ID, l.Addr())
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	fmt.Fprintln(std.err, "hipengine: stopping; running answers may finish")
	stop, cancel := context.WithTimeout(context.Background(), c.Grace)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		return fmt.Errorf("answers were cut short after %v: %w", c.Grace, err)
	}
	return nil
}

func (c *serveCmd) logger(std stdio) *slog.Logger {
	switch c.Log {
	case "json":
		return slog.New(slog.NewJSONHandler(std.err, nil))
	case "text":
		return slog.New(slog.NewTextHandler(std.err, nil))
	}
	return nil
}

// offer presents a loaded model to the server.
func (m *model) offer(e *engine.Engine) serve.Model {
	created := m.created
	if st, err := os.Stat(m.path); err == nil {
		created = st.ModTime()
	}
	return serve.Model{ID: m.id, Created: created, Engine: e, Tokenizer: serveTokenizer{m.tok}, Render: m.render, Defaults: m.defaults}
}

// render applies the model's template for the server.
func (m *model) render(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) ([]int32, error) {
	prompt, err := m.tmpl.Render(chat.Input{Messages: messages, Tools: tools, Kwargs: kwargs, AddGenerationPrompt: true, BOS: m.bos, EOS: m.eos})
	var raised *chat.RaisedError
	if errors.As(err, &raised) {
		return nil, fmt.Errorf("%w: %s", serve.ErrConversation, raised.Message)
	}
	if err != nil {
		return nil, err
	}
	return m.tok.EncodePieces(prompt)
}

// serveTokenizer gives the tokenizer the server's interface.
type serveTokenizer struct{ *tokenizer.Tokenizer }

func (t serveTokenizer) NewStream(special bool) engine.Decoder { return t.Tokenizer.NewStream(special) }
