package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/hipengine/hipengine/models/eval"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// textFlags say how a text is read in chunks.
type textFlags struct {
	modelFlags
	Chunk  int `default:"512" help:"Tokens of a chunk, which is read from an empty context; the second half of it counts."`
	Chunks int `help:"Read at most this many chunks; 0 for all."`
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
	f.exact = true
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

// chunks cuts a text for a model. Special tokens in it are plain text.
func (f *textFlags) chunks(tok *tokenizer.Tokenizer, text string) ([][]int32, error) {
	bos := int32(-1)
	if id, ok := tok.BOS(); ok && tok.AddsBOS() {
		bos = id
	}
	ids, err := tok.Encode(text, tokenizer.Options{AddSpecial: true})
	if err != nil {
		return nil, err
	}
	chunks, err := eval.Chunks(ids, f.Chunk, bos)
	if f.Chunks > 0 && len(chunks) > f.Chunks {
		chunks = chunks[:f.Chunks]
	}
	return chunks, err
}

// count shows progress in equal parts of the work, with what is worth watching.
func (p *progress) count(done, total int, watch string) {
	if p.w == nil {
		return
	}
	p.shown = time.Now()
	each := p.shown.Sub(p.start) / time.Duration(done)
	left := (each * time.Duration(total-done)).Round(time.Second)
	fmt.Fprintf(p.w, "\r\x1b[K%s: %d of %d, %s, %.3g s each, %v left", p.what, done, total, watch, each.Seconds(), left)
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
	j := scoreJSON{Model: model, Perplexity: s.Perplexity(), NLL: s.NLL.Value(), Tokens: s.NLL.N, Chunks: chunks, Chunk: size}
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
	m, err := c.open(ctx, c.Model, 1, std.err)
	if err != nil {
		return err
	}
	defer m.close()
	chunks, err := c.chunks(m.tok, text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	bar := newProgress(std.err, "perplexity of "+m.id)
	score, err := eval.Perplexity(ctx, m.runner, chunks, func(done int, s eval.Score) {
		bar.count(done, len(chunks), fmt.Sprintf("%.4f", s.Perplexity()))
	})
	bar.done()
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(scoreOf(m.id, score, len(chunks), c.Chunk))
	}
	_, err = fmt.Fprintf(std.out, "perplexity %.4f ± %.4f over %d tokens in %d chunks of %d\n", score.Perplexity(), score.Err(), score.NLL.N, len(chunks), c.Chunk)
	return err
}
