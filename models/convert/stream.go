package convert

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// source is where the pipeline reads tensors: a file, or a folder.
type source interface {
	// ReadTensor fills p with bytes of t from byte off on.
	ReadTensor(t gguf.TensorInfo, p []byte, off int64) error

	// ReadRows fills dst with rows of t from row lo on, as F32.
	ReadRows(t gguf.TensorInfo, dst []float32, lo int) error
}

// file is a GGUF file as a source.
type file struct{ *gguf.File }

func (f file) ReadRows(t gguf.TensorInfo, dst []float32, lo int) error {
	row, err := rowBytes(t)
	if err != nil {
		return err
	}
	buf := make([]byte, int64(len(dst)/t.Shape.Last())*row)
	if err := f.ReadTensor(t, buf, int64(lo)*row); err != nil {
		return err
	}
	return quant.Dequantize(t.DType, dst, buf)
}

// chunkElems is how many elements a worker takes at a time, in whole rows.
const chunkElems = 1 << 18

// chunk is a piece of a tensor as it is written.
type chunk struct {
	data []byte
	err  error
}

// converter writes the tensors of one file.
type converter struct {
	src      source
	imatrix  *Imatrix
	threads  int
	progress func(done, total int64)

	done, total int64 // bytes written
}

// threads returns n, or the number of processors for 0.
func threads(n int) int {
	if n <= 0 {
		return runtime.GOMAXPROCS(0)
	}
	return n
}

// write creates the file at path and fills it. infos[i] is read and written as type types[i].
func (c *converter) write(ctx context.Context, path string, meta *gguf.Meta, infos []gguf.TensorInfo,
	types []tensor.DType) error {
	targets := make([]gguf.TensorInfo, len(infos))
	for i, t := range infos {
		targets[i] = gguf.TensorInfo{Name: t.Name, DType: types[i], Shape: t.Shape}
	}
	w, err := gguf.Create(path, meta, targets, gguf.WriterOptions{})
	if err != nil {
		return err
	}
	defer w.Abort()
	for _, t := range w.Tensors() {
		c.total += t.Size
	}
	for i, t := range w.Tensors() {
		if err := c.copy(ctx, w, infos[i], t); err != nil {
			return err
		}
	}
	return w.Close()
}

// copy writes one tensor.
func (c *converter) copy(ctx context.Context, w *gguf.Writer, from, to gguf.TensorInfo) error {
	importance, err := c.importance(from, to)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // stops the workers if the writer gives up
	r := &reader{c: c, chunks: make(chan chan chunk, c.threads)}
	go r.produce(ctx, from, to, importance)
	if err := w.CopyTensor(to.Name, r); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	return nil
}

// importance returns the weights of the columns of a tensor that is quantized, nil if it has none.
func (c *converter) importance(from, to gguf.TensorInfo) ([]float32, error) {
	if f, _ := to.DType.Format(); f.Block == 1 || from.DType == to.DType {
		return nil, nil
	}
	w, err := c.imatrix.weights(to)
	if err == nil && w == nil && quant.RequiresImatrix(to.DType) {
		err = fmt.Errorf("convert: tensor %q: %v needs an importance matrix, and none has this tensor", to.Name,
			to.DType)
	}
	return w, err
}

// reader delivers the bytes of a tensor in order while workers make those to come. The capacity of chunks bounds the
// memory.
type reader struct {
	c      *converter
	chunks chan chan chunk
	rest   []byte
}

// produce starts a worker for each chunk.
func (r *reader) produce(ctx context.Context, from, to gguf.TensorInfo, importance []float32) {
	defer close(r.chunks)
	rows, cols := from.Shape.Rows(), from.Shape.Last()
	step := max(1, chunkElems/cols)
	for lo := 0; lo < rows; lo += step {
		out := make(chan chunk, 1)
		select {
		case r.chunks <- out:
		case <-ctx.Done():
			return
		}
		go func() {
			data, err := r.c.rows(from, to, importance, lo, min(rows, lo+step))
			out <- chunk{data, err}
		}()
	}
}

func (r *reader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		out, ok := <-r.chunks
		if !ok {
			return 0, io.EOF
		}
		ch := <-out
		if ch.err != nil {
			return 0, ch.err
		}
		r.rest = ch.data
		r.c.done += int64(len(ch.data))
		if r.c.progress != nil {
			r.c.progress(r.c.done, r.c.total)
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// rows makes rows lo to hi of a tensor in its new type. A tensor that keeps its type is copied.
func (c *converter) rows(from, to gguf.TensorInfo, importance []float32, lo, hi int) ([]byte, error) {
	row, err := rowBytes(to)
	if err != nil {
		return nil, err
	}
	dst := make([]byte, int64(hi-lo)*row)
	return dst, c.fill(dst, from, to, importance, lo, hi)
}

// rowBytes returns the size of a row of t.
func rowBytes(t gguf.TensorInfo) (int64, error) {
	return tensor.Bytes(t.DType, tensor.Shape{t.Shape.Last()})
}

// fill is rows into memory at hand, which has the size of the rows.
func (c *converter) fill(dst []byte, from, to gguf.TensorInfo, importance []float32, lo, hi int) error {
	cols, row := to.Shape.Last(), int64(len(dst)/(hi-lo))
	format, _ := to.DType.Format()
	if from.DType == to.DType {
		if err := c.src.ReadTensor(from, dst, int64(lo)*row); err != nil || format.Block > 1 || format.Dequant == nil {
			return err
		}
		x := make([]float32, (hi-lo)*cols)
		if err := quant.Dequantize(to.DType, x, dst); err != nil {
			return err
		}
		_, err := checkSource(x, cols, lo)
		return err
	}
	x := make([]float32, (hi-lo)*cols)
	if err := c.src.ReadRows(from, x, lo); err != nil {
		return err
	}
	large, err := checkSource(x, cols, lo)
	if err != nil {
		return err
	}
	// The weights of a stack of experts differ from expert to expert.
	perExpert := to.Shape.Rows()
	if n := len(importance) / cols; n > 1 {
		perExpert /= n
	}
	for a := lo; a < hi; {
		b := min(hi, (a/perExpert+1)*perExpert)
		var w []float32
		if importance != nil {
			w = importance[a/perExpert*cols:][:cols]
		}
		if err := quant.Quantize(to.DType, dst[int64(a-lo)*row:int64(b-lo)*row], x[(a-lo)*cols:(b-lo)*cols], cols,
			w); err != nil {
			return fmt.Errorf("from row %d on: %w", a, err)
		}
		if large {
			if err := checkTarget(to.DType, dst[int64(a-lo)*row:int64(b-lo)*row], x[(a-lo)*cols:(b-lo)*cols], cols, a,
				w); err != nil {
				return err
			}
		}
		a = b
	}
	return nil
}
