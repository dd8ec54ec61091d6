package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hipengine/hipengine"
)

// logitsCmd writes raw logits.
type logitsCmd struct {
	modelFlags
	Model  string `arg:"" help:"Model file, or name."`
	Tokens string `placeholder:"1,2,3" xor:"prompt" help:"Token ids."`
	Prompt string `xor:"prompt" help:"Text; special tokens in it are recognised."`
	Out    string `required:"" placeholder:"FILE" help:"File for the logits, raw little-endian float32 [tokens, vocab]."`
	Step   bool   `xor:"cut" help:"Feed one token at a time."`
	Oracle bool   `help:"Compute in float64 (with --device ref)."`
	Chunk  int    `xor:"cut" help:"Feed chunks of this many tokens; 0 for as many as a step takes."`
}

// Run executes the command.
func (c *logitsCmd) Run(ctx context.Context, std stdio) error {
	if c.Chunk < 0 {
		return usageError{fmt.Errorf("--chunk %d is negative", c.Chunk)}
	}
	if c.Tokens == "" && c.Prompt == "" {
		return usageError{errors.New("logits needs --tokens or --prompt")}
	}
	var ids []int32
	for s := range strings.SplitSeq(c.Tokens, ",") {
		if c.Tokens == "" {
			break
		}
		id, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32)
		if err != nil {
			return usageError{fmt.Errorf("--tokens: %q is not a token id", s)}
		}
		ids = append(ids, int32(id))
	}
	c.oracle, c.exact = c.Oracle, true
	h, err := c.host(std.err)
	if err != nil {
		return err
	}
	defer h.Close()
	m, err := c.load(ctx, h, c.Model, 1, std.err)
	if err != nil {
		return err
	}
	if c.Prompt != "" {
		if ids, err = m.Encode(c.Prompt, hipengine.EncodeOptions{ParseSpecial: true, AddSpecial: true}); err != nil {
			return err
		}
	}
	chunk := c.Chunk
	if c.Step {
		chunk = 1
	}
	return writeFile(c.Out, func(w *bufio.Writer) error {
		return m.Logits(ctx, ids, chunk, func(rows []float32) error {
			raw := make([]byte, 0, 4*len(rows))
			for _, x := range rows {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
			}
			_, err := w.Write(raw)
			return err
		})
	})
}

// writeFile writes path through a temporary file beside it, so that a failure leaves what was there.
func writeFile(path string, write func(*bufio.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	w := bufio.NewWriter(f)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
