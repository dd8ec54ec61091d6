package convert

import (
	"fmt"
	"sync"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/hf"
	"github.com/hipengine/hipengine/tensor"
)

// Quantized is a Hugging Face folder whose weights are quantized while they are read: a [models.Source] of the tensors
// that [Convert] would write, byte for byte, for loading a model in less memory than its folder takes and without a
// file between. It holds no tensor. Its methods may be called from several goroutines.
type Quantized struct {
	c     *converter
	list  []gguf.TensorInfo
	pairs map[string]quantizedTensor
}

// quantizedTensor is a tensor as the folder has it and as it is presented.
type quantizedTensor struct{ from, to gguf.TensorInfo }

var _ models.Source = (*Quantized)(nil)

// NewQuantized presents f as Convert would write it with the same Type, Imatrix and Threads; the other options have no
// meaning here. f must stay open while the result is in use.
func NewQuantized(f *hf.Folder, o Options) (*Quantized, error) {
	infos := SortTensors(f.Tensors())
	types, err := folderTypes(f.Meta, infos, o)
	if err != nil {
		return nil, err
	}
	q := &Quantized{c: &converter{src: f, imatrix: o.Imatrix, threads: threads(o.Threads)},
		pairs: map[string]quantizedTensor{}}
	for i, from := range infos {
		to := gguf.TensorInfo{Name: from.Name, DType: types[i], Shape: from.Shape}
		if to.Size, err = tensor.Bytes(to.DType, to.Shape); err != nil {
			return nil, fmt.Errorf("convert: tensor %q: %w", to.Name, err)
		}
		if _, err := q.c.importance(from, to); err != nil {
			return nil, err
		}
		q.list = append(q.list, to)
		q.pairs[to.Name] = quantizedTensor{from, to}
	}
	return q, nil
}

// Tensors returns all tensors in the order in which Convert writes them. The result must not be changed.
func (q *Quantized) Tensors() []gguf.TensorInfo { return q.list }

// Tensor returns the tensor with the given name.
func (q *Quantized) Tensor(name string) (gguf.TensorInfo, bool) {
	p, ok := q.pairs[name]
	return p.to, ok
}

// ReadTensor fills p with the bytes of t from byte off on. It quantizes the rows that p touches, so that large pieces
// are faster than small ones. It is an error to reach beyond the tensor.
func (q *Quantized) ReadTensor(t gguf.TensorInfo, p []byte, off int64) error {
	pair, ok := q.pairs[t.Name]
	if !ok {
		return fmt.Errorf("convert: there is no tensor %q", t.Name)
	}
	if size := pair.to.Size; off < 0 || off > size || int64(len(p)) > size-off {
		return fmt.Errorf("convert: tensor %q: reading %d bytes at %d of %d", t.Name, len(p), off, size)
	}
	if pair.from.DType == pair.to.DType {
		return q.c.src.ReadTensor(pair.from, p, off)
	}
	if err := q.read(pair, p, off); err != nil {
		return fmt.Errorf("convert: tensor %q: %w", t.Name, err)
	}
	return nil
}

// read makes the rows that hold bytes off and on, several workers at once.
func (q *Quantized) read(t quantizedTensor, p []byte, off int64) error {
	row, err := rowBytes(t.to)
	if err != nil {
		return err
	}
	importance, err := q.c.importance(t.from, t.to)
	if err != nil {
		return err
	}
	step := int64(max(1, chunkElems/t.to.Shape.Last()))
	end := off + int64(len(p))
	var (
		wg    sync.WaitGroup
		once  sync.Once
		first error
		slots = make(chan struct{}, q.c.threads)
	)
	for lo := off / row; lo*row < end; lo += step {
		hi := min(lo+step, (end+row-1)/row)
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := q.piece(p, off, row, t, importance, lo, hi); err != nil {
				once.Do(func() { first = err })
			}
		})
	}
	wg.Wait()
	return first
}

// piece puts rows lo to hi into p, which holds the tensor from byte off on and may begin or end inside a row.
func (q *Quantized) piece(p []byte, off, row int64, t quantizedTensor, importance []float32, lo, hi int64) error {
	begin, end := lo*row-off, hi*row-off
	if begin >= 0 && end <= int64(len(p)) {
		return q.c.fill(p[begin:end], t.from, t.to, importance, int(lo), int(hi))
	}
	b, err := q.c.rows(t.from, t.to, importance, int(lo), int(hi))
	if err == nil {
		copy(p[max(begin, 0):], b[max(-begin, 0):])
	}
	return err
}
