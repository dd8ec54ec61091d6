package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/models/eval"
)

// textFlags say how a text is read in chunks.
type textFlags struct {
	modelFlags
	Chunk  int `default:"512" help:"Tokens of a chunk, which is read from an empty context; the second half of it counts."`
	Chunks int `help:"Read at most this many chunks; 0 for all."`

	file string // that text read
}

// maxText bounds a text file in bytes.
const maxText = 1 << 30

// text reads a file, after a check of the flags.
func (f *textFlags) text(file string) (string, error) {
	if f.Chunk < eval.MinChunk {
		return "", usageError{fmt.Errorf("--chunk %d: at least %d tokens are needed", f.Chunk, eval.MinChunk)}
	}
	if f.Chunks < 0 {
		return "", usageError{fmt.Errorf("--chunks %d is negative", f.Chunks)}
	}
	f.exact, f.file = true, file
	if f.Context == 0 {
		f.Context = f.Chunk
	}
	if f.Context < f.Chunk {
		return "", usageError{fmt.Errorf("--ctx %d does not hold a chunk of %d tokens", f.Context, f.Chunk)}
	}
	r, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err == nil && len(b) > maxText {
		err = fmt.Errorf("%s is longer than %d bytes", file, maxText)
	}
	return string(b), err
}

// chunks cuts a text for a model.
func (f *textFlags) chunks(m *hipengine.Model, text string) ([][]int32, error) {
	chunks, err := m.Chunks(text, f.Chunk)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.file, err)
	}
	if f.Chunks > 0 && len(chunks) > f.Chunks {
		chunks = chunks[:f.Chunks]
	}
	return chunks, nil
}

// perplexityCmd measures how well a model predicts a text.
type perplexityCmd struct {
	textFlags
	Model string `arg:"" help:"Model file, or name."`
	File  string `arg:"" name:"textfile" help:"Text file."`
	JSON  bool   `help:"Print JSON."`
}

// scoreJSON is a score in the shape of JSON.
type scoreJSON struct {
	Model      string   `json:"model"`
	Perplexity float64  `json:"perplexity"`
	Err        *float64 `json:"standard_error,omitempty"`
	NLL        float64  `json:"nll"` // mean, in nats
	Tokens     int      `json:"tokens"`
	Chunks     int      `json:"chunks"`
	Chunk      int      `json:"chunk_size"`
}

// scoreOf describes a score.
func scoreOf(model string, s eval.Score, chunks, size int) scoreJSON {
	j := scoreJSON{Model: model, Perplexity: s.Perplexity(), NLL: s.NLL.Value(), Tokens: s.NLL.N, Chunks: chunks,
		Chunk: size}
	if e := s.Err(); e == e {
		j.Err = &e
	}
	return j
}

// Run executes the command.
func (c *perplexityCmd) Run(ctx context.Context, std stdio) error {
	text, err := c.text(c.File)
	if err != nil {
		return err
	}
	h, err := c.host(std.err)
	if err != nil {
		return err
	}
	defer h.Close()
	m, err := c.load(ctx, h, c.Model, 1, std.err)
	if err != nil {
		return err
	}
	chunks, err := c.chunks(m, text)
	if err != nil {
		return err
	}
	bar := newProgress(std.err, "perplexity of "+m.ID())
	score, err := m.Perplexity(ctx, chunks, func(done int, s eval.Score) {
		bar.count(done, len(chunks), fmt.Sprintf("%.4f", s.Perplexity()))
	})
	bar.done()
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(scoreOf(m.ID(), score, len(chunks), c.Chunk))
	}
	_, err = fmt.Fprintf(std.out, "perplexity %.4f ± %.4f over %d tokens in %d chunks of %d\n", score.Perplexity(),
		score.Err(), score.NLL.N, len(chunks), c.Chunk)
	return err
}
