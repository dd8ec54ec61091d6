package synth

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// Options adjust Write. The zero value makes an F32 file from seed 0.
type Options struct {
	Type convert.FType
	Seed uint64 // the same seed gives the same bytes

	// Progress, which may be nil, is told the bytes written so far and in all.
	Progress func(done, total int64)
}

// Write writes a model of the shape to a GGUF file at out, which is replaced when the new file is complete; a canceled
// ctx leaves it alone. The error names a type whose codes cannot be drawn.
func Write(ctx context.Context, s Shape, out string, o Options) error {
	meta, err := s.Meta(o.Type)
	if err != nil {
		return err
	}
	infos, err := s.tensors(meta, o.Type)
	if err != nil {
		return err
	}
	var total int64
	for _, t := range infos {
		if _, err := codeMask(t.DType); err != nil {
			return fmt.Errorf("synth: type %v: %w", o.Type, err)
		}
		total += t.Size
	}
	w, err := gguf.Create(out, meta, infos, gguf.WriterOptions{})
	if err != nil {
		return err
	}
	defer w.Abort()
	templates := map[templateKey]*template{}
	var done int64
	for _, t := range w.Tensors() {
		var r io.Reader
		if len(t.Shape) > 1 {
			k := templateKey{t.DType, t.Shape.Last()}
			if templates[k] == nil {
				if templates[k], err = newTemplate(k, o.Seed); err != nil {
					return fmt.Errorf("synth: tensor %q: %w", t.Name, err)
				}
			}
			r = &codes{template: templates[k], random: rand.NewChaCha8(seed(o.Seed, t.Name))}
		} else {
			r = strings.NewReader(string(s.vector(t, o.Seed)))
		}
		report := func(n int) {
			done += int64(n)
			if o.Progress != nil {
				o.Progress(done, total)
			}
		}
		if err := w.CopyTensor(t.Name, &watched{ctx, r, report}); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
	}
	return w.Close()
}

// seed derives the seed of one tensor.
func seed(n uint64, name string) [32]byte { return sha256.Sum256(fmt.Appendf(nil, "%d/%s", n, name)) }

// watched is a reader that stops with ctx and reports what was read.
type watched struct {
	ctx    context.Context
	r      io.Reader
	report func(n int)
}

func (w *watched) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.r.Read(p)
	w.report(n)
	return n, err
}

// vector returns the contents of a small tensor, of the size that trained ones of that name have: norms near one,
// decays (-exp(A)) negative.
func (s Shape) vector(t gguf.TensorInfo, n uint64) []byte {
	r := rand.New(rand.NewChaCha8(seed(n, t.Name)))
	var b []byte
	for i := range t.Shape.Elems() {
		var x float64
		switch {
		case t.Name == ropeFreqs:
			x = float64(s.RoPEFactors[i])
		case strings.HasSuffix(t.Name, "ssm_a"):
			x = -0.05 - 1.95*r.Float64()
		case strings.Contains(t.Name, "norm"):
			x = 1 + 0.1*r.NormFloat64()
		case strings.HasSuffix(t.Name, ".bias"):
			x = 0.1 * r.NormFloat64()
		default:
			x = r.NormFloat64() / math.Sqrt(float64(t.Shape.Last()))
		}
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(x)))
	}
	return b
}

// templateKey says for which matrices a template serves.
type templateKey struct {
	dtype tensor.DType
	cols  int
}

// template is a run of blocks of normal weights, and which of its bits are codes.
type template struct {
	scales []byte // the blocks with their codes cleared
	mask   []byte // set where the codes are
	signed bool   // codes are bytes of which -128 is never used
}

// templateBlocks is the number of blocks of quantized types in a template; scales repeat after as many.
const templateBlocks = 256

// newTemplate quantizes normal weights whose sums over a row have the size of one input.
func newTemplate(k templateKey, n uint64) (*template, error) {
	mask, err := codeMask(k.dtype)
	if err != nil {
		return nil, err
	}
	f, _ := k.dtype.Format()
	r := rand.New(rand.NewPCG(n, uint64(k.dtype)))
	x := make([]float32, max(f.Block, 32)*templateBlocks)
	for i := range x {
		x[i] = float32(r.NormFloat64() / math.Sqrt(float64(k.cols)))
	}
	t := &template{scales: make([]byte, len(x)/f.Block*f.Bytes), signed: k.dtype == quant.Q8_0}
	if err := quant.Quantize(k.dtype, t.scales, x, len(x), nil); err != nil {
		return nil, err
	}
	for i := range t.scales {
		m := mask[i%len(mask)]
		t.mask = append(t.mask, m)
		t.scales[i] &^= m
	}
	return t, nil
}

// codes are the endless blocks of a tensor: a template's scales, over and over, with fresh codes.
type codes struct {
	*template
	random *rand.ChaCha8
	buf    []byte
	rest   []byte
}

func (c *codes) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		if c.buf == nil {
			c.buf = make([]byte, len(c.scales))
		}
		if _, err := c.random.Read(c.buf); err != nil {
			return 0, err
		}
		// A template is a multiple of 32 elements of 256 blocks: whole words in every format.
		for i := 0; i+8 <= len(c.buf); i += 8 {
			w := binary.LittleEndian.Uint64(c.buf[i:])
			w = w&binary.LittleEndian.Uint64(c.mask[i:]) | binary.LittleEndian.Uint64(c.scales[i:])
			binary.LittleEndian.PutUint64(c.buf[i:], w)
		}
		if c.signed {
			for i, b := range c.buf {
				if b == 0x80 && c.mask[i] != 0 {
					c.buf[i] = 0x81 // quantizers make codes from -127 to 127, and kernels may rely on it
				}
			}
		}
		c.rest = c.buf
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
