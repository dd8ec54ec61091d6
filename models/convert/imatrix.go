package convert

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// Imatrix is an importance matrix: for each matrix of a model, how strongly the columns are driven. Quantizers let
// errors of strong columns count more.
type Imatrix struct {
	// Entries are by tensor name.
	Entries map[string]ImatrixEntry

	// Datasets are the texts that the matrix was made of; Chunks and ChunkSize how much of them, in tokens.
	Datasets  []string
	Chunks    int
	ChunkSize int
}

// ImatrixEntry sums the squares of the activations that met each column of a tensor.
type ImatrixEntry struct {
	// Sums has a value for each column, for a stack of experts expert by expert.
	Sums []float32

	// Counts are the tokens that were summed, one value or one for each expert.
	Counts []float32
}

// weights returns the mean square for each column of t, nil if the matrix has none. Experts that no token met weigh
// all columns alike.
func (m *Imatrix) weights(t gguf.TensorInfo) ([]float32, error) {
	if m == nil {
		return nil, nil
	}
	e, ok := m.Entries[t.Name]
	if !ok {
		return nil, nil
	}
	cols := t.Shape.Last()
	experts := 1
	if len(t.Shape) > 2 {
		experts = t.Shape[:len(t.Shape)-2].Elems()
	}
	n := len(e.Sums) / cols
	if len(e.Sums)%cols != 0 || n != 1 && n != experts || len(e.Counts) != 1 && len(e.Counts) != n {
		return nil, fmt.Errorf("convert: importance matrix: tensor %q has %d sums and %d counts, the model's has %d columns and %d experts",
			t.Name, len(e.Sums), len(e.Counts), cols, experts)
	}
	out := make([]float32, len(e.Sums))
	for i, s := range e.Sums {
		count := e.Counts[min(i/cols, len(e.Counts)-1)]
		if out[i] = 1; count > 0 {
			out[i] = s / count
		}
	}
	return out, nil
}

// check reports values that are no sums of squares.
func (m *Imatrix) check() error {
	for name, e := range m.Entries {
		for _, x := range [][]float32{e.Sums, e.Counts} {
			for i, v := range x {
				if !(v >= 0) || math.IsInf(float64(v), 0) {
					return fmt.Errorf("tensor %q has %v at %d", name, v, i)
				}
			}
		}
	}
	return nil
}

// The names of llama.cpp's imatrix files (tools/imatrix of ggml-org/llama.cpp).
const (
	imatrixType      = "imatrix"
	imatrixDatasets  = "imatrix.datasets"
	imatrixChunks    = "imatrix.chunk_count"
	imatrixChunkSize = "imatrix.chunk_size"
	imatrixSums      = ".in_sum2"
	imatrixCounts    = ".counts"
)

// ReadImatrix reads an importance matrix that llama.cpp's imatrix tool wrote, in GGUF or in the binary format that it
// had before (.dat).
func ReadImatrix(path string) (*Imatrix, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	defer f.Close()
	var magic [4]byte
	if _, err := io.ReadFull(f, magic[:]); err != nil {
		return nil, fmt.Errorf("convert: importance matrix %s: %w", path, err)
	}
	var m *Imatrix
	if string(magic[:]) == "GGUF" {
		m, err = readGGUF(path)
	} else if _, err = f.Seek(0, io.SeekStart); err == nil {
		m, err = readLegacy(f)
	}
	if err == nil {
		err = m.check()
	}
	if err != nil {
		return nil, fmt.Errorf("convert: importance matrix %s: %w", path, err)
	}
	return m, nil
}

func readGGUF(path string) (*Imatrix, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if typ, err := f.Meta.StringOr("general.type", "model"); err != nil || typ != imatrixType {
		return nil, fmt.Errorf("the file holds a %q", typ)
	}
	m := &Imatrix{Entries: map[string]ImatrixEntry{}}
	if f.Meta.Has(imatrixDatasets) {
		if m.Datasets, err = f.Meta.Strings(imatrixDatasets); err != nil {
			return nil, err
		}
	}
	for key, to := range map[string]*int{imatrixChunks: &m.Chunks, imatrixChunkSize: &m.ChunkSize} {
		n, err := f.Meta.IntOr(key, 0)
		if err != nil {
			return nil, err
		}
		*to = int(n)
	}
	floats := func(t gguf.TensorInfo) ([]float32, error) {
		if t.DType != tensor.F32 {
			return nil, fmt.Errorf("tensor %q is %v, not F32", t.Name, t.DType)
		}
		b, x := make([]byte, t.Size), make([]float32, t.Shape.Elems())
		if err := f.ReadTensor(t, b, 0); err != nil {
			return nil, err
		}
		return x, quant.Dequantize(t.DType, x, b)
	}
	for _, t := range f.Tensors {
		name, ok := strings.CutSuffix(t.Name, imatrixSums)
		if !ok {
			continue
		}
		counts, ok := f.Tensor(name + imatrixCounts)
		if !ok {
			return nil, fmt.Errorf("tensor %q has no %s", name, imatrixCounts)
		}
		var e ImatrixEntry
		if e.Sums, err = floats(t); err == nil {
			e.Counts, err = floats(counts)
		}
		if err != nil {
			return nil, err
		}
		m.Entries[name] = e
	}
	return m, nil
}

// Limits of the old format.
const (
	maxLegacyEntries = 1 << 16
	maxLegacyName    = 1 << 10
	maxLegacyValues  = 1 << 26
)

// readLegacy reads the old format: the number of entries, and for each one the length of its name, its name, the
// number of calls, the number of values, and the values, which are means times calls. All numbers have 32 bits.
func readLegacy(r io.Reader) (*Imatrix, error) {
	in := bufio.NewReader(r)
	number := func(what string, limit int32) (int, error) {
		var n int32
		if err := binary.Read(in, binary.LittleEndian, &n); err != nil {
			return 0, fmt.Errorf("%s: %w", what, err)
		}
		if n < 1 || n > limit {
			return 0, fmt.Errorf("%s %d is not in 1..%d", what, n, limit)
		}
		return int(n), nil
	}
	entries, err := number("number of entries", maxLegacyEntries)
	if err != nil {
		return nil, err
	}
	m := &Imatrix{Entries: map[string]ImatrixEntry{}}
	for range entries {
		n, err := number("length of a name", maxLegacyName)
		if err != nil {
			return nil, err
		}
		name := make([]byte, n)
		if _, err := io.ReadFull(in, name); err != nil {
			return nil, fmt.Errorf("name: %w", err)
		}
		calls, err1 := number("number of calls", math.MaxInt32)
		values, err2 := number("number of values", maxLegacyValues)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		var sums []float32
		for len(sums) < values { // grows with what the file really holds
			part := make([]float32, min(values-len(sums), 1<<16))
			if err := binary.Read(in, binary.LittleEndian, part); err != nil {
				return nil, fmt.Errorf("tensor %q: %w", name, err)
			}
			sums = append(sums, part...)
		}
		m.Entries[string(name)] = ImatrixEntry{Sums: sums, Counts: []float32{float32(calls)}}
	}
	return m, nil
}

// Write writes the matrix to a GGUF file as llama.cpp's imatrix tool does.
func (m *Imatrix) Write(path string) error {
	if err := m.check(); err != nil {
		return fmt.Errorf("convert: importance matrix: %w", err)
	}
	meta := &gguf.Meta{}
	datasets := m.Datasets
	if datasets == nil {
		datasets = []string{}
	}
	for _, kv := range []struct {
		key string
		v   any
	}{{"general.type", imatrixType}, {imatrixDatasets, datasets}, {imatrixChunks, uint32(m.Chunks)},
		{imatrixChunkSize, uint32(m.ChunkSize)}} {
		if err := meta.Set(kv.key, kv.v); err != nil {
			return fmt.Errorf("convert: importance matrix: %w", err)
		}
	}
	var infos []gguf.TensorInfo
	var data [][]float32
	for _, name := range sortedNames(m.Entries) {
		e := m.Entries[name]
		n := len(e.Counts)
		if n == 0 || len(e.Sums) == 0 || len(e.Sums)%n != 0 {
			return fmt.Errorf("convert: importance matrix: tensor %q has %d sums and %d counts", name, len(e.Sums), n)
		}
		infos = append(infos,
			gguf.TensorInfo{Name: name + imatrixSums, DType: tensor.F32, Shape: tensor.Shape{n, len(e.Sums) / n}},
			gguf.TensorInfo{Name: name + imatrixCounts, DType: tensor.F32, Shape: tensor.Shape{n, 1}})
		data = append(data, e.Sums, e.Counts)
	}
	w, err := gguf.Create(path, meta, infos, gguf.WriterOptions{})
	if err != nil {
		return err
	}
	defer w.Abort()
	for i, t := range infos {
		b := make([]byte, 4*len(data[i]))
		if err := quant.Quantize(tensor.F32, b, data[i], t.Shape.Last(), nil); err != nil {
			return err
		}
		if err := w.WriteTensor(t.Name, b); err != nil {
			return err
		}
	}
	return w.Close()
}

func sortedNames(m map[string]ImatrixEntry) []string { return slices.Sorted(maps.Keys(m)) }
