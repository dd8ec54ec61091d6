package gguf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// WriterOptions adjusts [Create]. The zero value writes one file of version 3.
type WriterOptions struct {
	Version     int   // 2 or 3; 0 means 3
	MaxPartSize int64 // bytes; above 0, a model that does not fit in one file of this size is split
}

// Writer streams a model out. Create fixes metadata and tensors; their data follows in the same order with
// WriteTensor or CopyTensor; Close makes the files appear under their names. A Writer keeps no tensor in memory.
// It is used by one goroutine.
//
// The canonical use is
//
//	w, err := gguf.Create(path, meta, tensors, gguf.WriterOptions{})
//	if err != nil { ... }
//	defer w.Abort()
//	for _, t := range w.Tensors() { ... w.WriteTensor(t.Name, data) ... }
//	return w.Close()
type Writer struct {
	tensors []TensorInfo
	parts   []partPlan
	padding []int64 // zero bytes after each tensor

	next int // index of the next tensor in tensors
	part int // index of the part being written
	file *os.File
	out  *bufio.Writer
	tmp  []string // the temporary files made so far, one per part
	done bool
	err  error // the first failure; it sticks
}

// partPlan is what is known of a part before its data.
type partPlan struct {
	path   string
	header []byte // nil once it is written
	data   int64  // offset of the data section
}

// Create starts a model at path, which is replaced by Close if it exists. The order of tensors is that of the
// file; only Name, DType and Shape of them are read. meta may be nil and is not kept. Alignment follows the key
// general.alignment (default 32). A model that must be split becomes prefix-00001-of-0000N.gguf and so on, where path
// is prefix.gguf: all of meta is in the first part, and a tensor larger than MaxPartSize has a part of its own, which
// is then larger. The split.* keys of meta are replaced or dropped.
//
// It fails for whatever [Open] would refuse to read.
func Create(path string, meta *Meta, tensors []TensorInfo, o WriterOptions) (*Writer, error) {
	w := &Writer{}
	if err := w.plan(path, meta, tensors, o); err != nil {
		return nil, fmt.Errorf("gguf: creating %s: %w", path, err)
	}
	if err := w.startPart(); err != nil {
		w.Abort()
		return nil, err
	}
	return w, nil
}

// plan lays out all parts.
func (w *Writer) plan(path string, meta *Meta, tensors []TensorInfo, o WriterOptions) error {
	if o.Version == 0 {
		o.Version = 3
	}
	if o.Version != 2 && o.Version != 3 {
		return fmt.Errorf("version %d, want 2 or 3", o.Version)
	}
	if meta == nil {
		meta = &Meta{}
	}
	meta = meta.Clone()
	meta.Delete(keySplitNo)
	meta.Delete(keySplitCount)
	meta.Delete(keySplitTensors)
	alignment, err := alignmentOf(meta)
	if err != nil {
		return err
	}
	if err := w.layOut(tensors, alignment); err != nil {
		return err
	}
	ends := w.fill(meta, alignment, o)
	if len(ends) > maxParts {
		return fmt.Errorf("%d parts, the limit is %d", len(ends), maxParts)
	}
	if len(w.tensors) > math.MaxInt32 {
		return fmt.Errorf("%d tensors, the limit is %d", len(w.tensors), math.MaxInt32)
	}
	start := 0
	for i, end := range ends {
		p := partPlan{path: path}
		m := meta
		if len(ends) > 1 {
			p.path = SplitPath(strings.TrimSuffix(path, ".gguf"), i, len(ends))
			m = splitMeta(meta, i, len(ends), len(w.tensors))
		}
		ts := w.tensors[start:end]
		var off int64
		for j := range ts {
			ts[j].Part, ts[j].Offset = i, off
			off += ts[j].Size + w.padding[start+j]
		}
		p.header = appendHeader(nil, o.Version, m, ts)
		if len(p.header) > maxMetadata {
			return fmt.Errorf("metadata section of %d bytes, the limit is %d", len(p.header), maxMetadata)
		}
		p.data = align(int64(len(p.header)), alignment)
		for j := range ts {
			ts[j].Offset += p.data
		}
		w.parts = append(w.parts, p)
		start = end
	}
	return nil
}

// layOut copies and checks the tensors and computes their sizes.
func (w *Writer) layOut(tensors []TensorInfo, alignment int64) error {
	seen := make(map[string]bool, len(tensors))
	var total int64
	for _, t := range tensors {
		if err := checkName(t.Name); err != nil {
			return err
		}
		size, err := sizeOf(t.DType, t.Shape)
		switch {
		case seen[t.Name]:
			err = errors.New("duplicate name")
		case err == nil && len(t.Shape) > maxDims:
			err = fmt.Errorf("%d dimensions, the limit is %d", len(t.Shape), maxDims)
		case err == nil && size > math.MaxInt64/4-total:
			err = errors.New("total size overflows")
		}
		if err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		seen[t.Name] = true
		padded := align(size, alignment)
		total += padded
		w.padding = append(w.padding, padded-size)
		w.tensors = append(w.tensors, TensorInfo{Name: t.Name, DType: t.DType, Shape: t.Shape, Size: size})
	}
	return nil
}

// fill distributes the tensors over parts and returns the index after the last tensor of each.
func (w *Writer) fill(meta *Meta, alignment int64, o WriterOptions) (ends []int) {
	if o.MaxPartSize > 0 {
		header := int64(len(appendHeader(nil, o.Version, splitMeta(meta, 0, 2, 0), nil)))
		var data int64
		start := 0
		for i, t := range w.tensors {
			h, n := int64(len(appendInfo(nil, t))), t.Size+w.padding[i]
			if i > start && align(header+h, alignment)+data+n > o.MaxPartSize {
				ends = append(ends, i)
				start, data = i, 0
				header = int64(len(appendHeader(nil, o.Version, splitMeta(meta, 1, 2, 0), nil)))
			}
			header += h
			data += n
		}
	}
	return append(ends, len(w.tensors))
}

// splitMeta returns the metadata of part no: all of it in the first, alignment in the others.
func splitMeta(meta *Meta, no, count, tensors int) *Meta {
	m := &Meta{}
	if no == 0 {
		m = meta.Clone()
	} else if v, ok := meta.Value(keyAlignment); ok {
		m.mustSet(keyAlignment, v)
	}
	m.mustSet(keySplitNo, uint16(no))
	m.mustSet(keySplitCount, uint16(count))
	m.mustSet(keySplitTensors, int32(tensors))
	return m
}

// mustSet is Set for keys and values that are known to be valid.
func (m *Meta) mustSet(key string, v any) {
	if err := m.Set(key, v); err != nil {
		panic(err)
	}
}

// Tensors returns the tensors in the order in which they must be written, with offset, size and part.
func (w *Writer) Tensors() []TensorInfo { return w.tensors }

// Paths returns the names of the files that Close makes appear, in the order of the parts.
func (w *Writer) Paths() []string {
	var paths []string
	for _, p := range w.parts {
		paths = append(paths, p.path)
	}
	return paths
}

// WriteTensor writes the data of the next tensor. It is an error if name is not that of the next one or data has
// another size. After any error only Abort and Close are of use.
func (w *Writer) WriteTensor(name string, data []byte) error {
	return w.write(name, func(size int64) error {
		if int64(len(data)) != size {
			return fmt.Errorf("%d bytes of data, want %d", len(data), size)
		}
		_, err := w.out.Write(data)
		return err
	})
}

// CopyTensor is WriteTensor for data that r delivers: exactly the bytes of the tensor are read from it.
func (w *Writer) CopyTensor(name string, r io.Reader) error {
	return w.write(name, func(size int64) error {
		n, err := io.CopyN(w.out, r, size)
		if err == io.EOF {
			return fmt.Errorf("%d bytes of data, want %d", n, size)
		}
		return err
	})
}

func (w *Writer) write(name string, data func(size int64) error) error {
	if w.err != nil {
		return w.err
	}
	if err := w.tryWrite(name, data); err != nil {
		w.err = fmt.Errorf("gguf: writing tensor %q: %w", name, err)
	}
	return w.err
}

func (w *Writer) tryWrite(name string, data func(size int64) error) error {
	if w.done {
		return errors.New("writer is closed")
	}
	if w.next == len(w.tensors) {
		return errors.New("all declared tensors are written")
	}
	t := w.tensors[w.next]
	if name != t.Name {
		return fmt.Errorf("the next tensor is %q", t.Name)
	}
	if t.Part != w.part {
		if err := w.endPart(); err != nil {
			return err
		}
		w.part = t.Part
		if err := w.startPart(); err != nil {
			return err
		}
	}
	if err := data(t.Size); err != nil {
		return err
	}
	if err := writeZeros(w.out, w.padding[w.next]); err != nil {
		return err
	}
	w.next++
	return nil
}

func writeZeros(out io.Writer, n int64) error {
	var zeros [1 << 12]byte
	for n > 0 {
		k, err := out.Write(zeros[:min(n, int64(len(zeros)))])
		if err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}

// startPart creates the temporary file of the current part and writes its header.
func (w *Writer) startPart() error {
	p := &w.parts[w.part]
	dir, base := filepath.Split(p.path)
	name := filepath.Join(dir, fmt.Sprintf(".%s.%016x.tmp", base, rand.Uint64()))
	// os.CreateTemp would make a file that nobody else may read.
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	w.tmp = append(w.tmp, name)
	w.file = file
	w.out = bufio.NewWriterSize(file, 64<<10)
	if _, err := w.out.Write(p.header); err != nil {
		return fmt.Errorf("gguf: writing %s: %w", p.path, err)
	}
	if err := writeZeros(w.out, p.data-int64(len(p.header))); err != nil {
		return fmt.Errorf("gguf: writing %s: %w", p.path, err)
	}
	p.header = nil
	return nil
}

// endPart completes the temporary file of the current part.
func (w *Writer) endPart() error {
	if w.file == nil {
		return nil
	}
	err := w.out.Flush()
	if err == nil {
		err = w.file.Sync() // else a crash after the rename could leave an empty file under the final name
	}
	err = errors.Join(err, w.file.Close())
	w.file = nil
	return err
}

// Close completes the files and gives them their names. If a tensor is missing or a write failed it returns that
// error and leaves nothing behind, as Abort does. If the parts of a split model cannot all be renamed, those that
// were stay. A second call does nothing.
func (w *Writer) Close() error {
	if w.done {
		return nil
	}
	if w.err == nil && w.next < len(w.tensors) {
		w.err = fmt.Errorf("gguf: closing %s: tensor %q and %d more are not written", w.parts[0].path,
			w.tensors[w.next].Name, len(w.tensors)-w.next-1)
	}
	if w.err == nil {
		if err := w.endPart(); err != nil {
			w.err = fmt.Errorf("gguf: closing %s: %w", w.parts[w.part].path, err)
		}
	}
	if w.err != nil {
		w.Abort()
		return w.err
	}
	w.done = true
	for i, p := range w.parts {
		if err := os.Rename(w.tmp[i], p.path); err != nil {
			for _, name := range w.tmp[i:] {
				os.Remove(name)
			}
			return fmt.Errorf("gguf: %w", err)
		}
	}
	return nil
}

// Abort removes what was written. After Close it does nothing, so that it can be deferred.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	if w.file != nil {
		w.file.Close()
		w.file = nil
	}
	for _, name := range w.tmp {
		os.Remove(name)
	}
}
