package hf

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hipengine/hipengine/internal/strictjson"
)

// Limits of a safetensors file. The header's is that of the reference reader.
const (
	maxHeader = 100_000_000 // bytes
	maxDims   = 8
	maxShards = 10_000
)

// elementSizes are the element types of safetensors and their sizes in bytes.
var elementSizes = map[string]int64{
	"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2,
	"U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "C64": 8,
}

// stored is a tensor of a safetensors file.
type stored struct {
	name  string
	dtype string // as the file spells it
	shape []int  // outermost first
	off   int64  // of the first byte in the file
	size  int64  // bytes
	file  *shard

	// made are the weights of a module of a quantized checkpoint that are put together from several tensors; dtype is
	// a word for messages then, and there are no bytes.
	made *matrix
}

// shard is an open safetensors file.
type shard struct {
	name string // without the folder
	r    io.ReaderAt
	file io.Closer // nil for memory
}

// read fills p from byte off of the tensor on.
func (t *stored) read(p []byte, off int64) error {
	if off < 0 || off > t.size || int64(len(p)) > t.size-off {
		return fmt.Errorf("tensor %q: reading %d bytes at %d of %d", t.name, len(p), off, t.size)
	}
	if n, err := t.file.r.ReadAt(p, t.off+off); n < len(p) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("%s: tensor %q: %w", t.file.name, t.name, err)
	}
	return nil
}

// parseSafetensors reads the header of a file of size bytes and checks every entry: known types, sizes that follow
// from the shapes, and data that covers the rest of the file without holes or overlaps.
func parseSafetensors(s *shard, size int64) ([]*stored, error) {
	var lenBytes [8]byte
	if size < 8 {
		return nil, fmt.Errorf("the file has %d bytes, a header needs 8", size)
	}
	if _, err := io.ReadFull(io.NewSectionReader(s.r, 0, 8), lenBytes[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(lenBytes[:])
	if n > maxHeader {
		return nil, fmt.Errorf("header of %d bytes, the limit is %d", n, int64(maxHeader))
	}
	if int64(n) > size-8 {
		return nil, fmt.Errorf("header of %d bytes in a file of %d", n, size)
	}
	header := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(s.r, 8, int64(n)), header); err != nil {
		return nil, err
	}
	data := 8 + int64(n)
	var ts []*stored
	err := strictjson.Walk(header, limits, func(name string, d *json.Decoder) error {
		v, err := strictjson.Value(d, limits, 1)
		if err != nil {
			return err
		}
		if name == "__metadata__" {
			return nil
		}
		t, err := parseEntry(v, size-data)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", clip(name), err)
		}
		t.name, t.file = name, s
		ts = append(ts, t)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if err := checkCover(ts, size-data); err != nil {
		return nil, err
	}
	for _, t := range ts {
		t.off += data
	}
	return ts, nil
}

// parseEntry checks one entry of the header against the number of data bytes. Offsets are relative to the data.
func parseEntry(v any, dataSize int64) (*stored, error) {
	entry, ok := v.(object)
	if !ok {
		return nil, errors.New("its entry is not an object")
	}
	t := &stored{}
	if t.dtype, ok = entry["dtype"].(string); !ok {
		return nil, errors.New("it has no dtype")
	}
	elem, ok := elementSizes[t.dtype]
	if !ok {
		return nil, fmt.Errorf("unknown dtype %q", clip(t.dtype))
	}
	shape, ok := entry["shape"].([]any)
	if !ok {
		return nil, errors.New("it has no shape")
	}
	if len(shape) > maxDims {
		return nil, fmt.Errorf("%d dimensions, the limit is %d", len(shape), maxDims)
	}
	want := elem
	for _, x := range shape {
		dim, err := integer(x)
		if err != nil || dim < 0 || dim > math.MaxInt32 {
			return nil, fmt.Errorf("dimension %v is not a number from 0 to %d", x, math.MaxInt32)
		}
		if dim > 0 && want > math.MaxInt64/dim {
			return nil, errors.New("its size overflows")
		}
		want *= dim
		t.shape = append(t.shape, int(dim))
	}
	offsets, ok := entry["data_offsets"].([]any)
	if !ok || len(offsets) != 2 {
		return nil, errors.New("data_offsets are not two numbers")
	}
	begin, err1 := integer(offsets[0])
	end, err2 := integer(offsets[1])
	if err1 != nil || err2 != nil || begin < 0 || begin > end || end > dataSize {
		return nil, fmt.Errorf("data_offsets %v to %v in %d bytes of data", offsets[0], offsets[1], dataSize)
	}
	if end-begin != want {
		return nil, fmt.Errorf("%d bytes of data for %s %v, which takes %d", end-begin, t.dtype, t.shape, want)
	}
	t.off, t.size = begin, want
	return t, nil
}

// integer returns a JSON number that is a whole one, spelled without point or exponent.
func integer(v any) (int64, error) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, errors.New("not a number")
	}
	return strconv.ParseInt(n.String(), 10, 64)
}

// checkCover checks that tensors follow each other without holes or overlaps from 0 to size.
func checkCover(ts []*stored, size int64) error {
	byOffset := slices.Clone(ts)
	slices.SortFunc(byOffset, func(a, b *stored) int {
		if a.off != b.off {
			return int(min(1, max(-1, a.off-b.off)))
		}
		return int(min(1, max(-1, a.size-b.size))) // empty tensors first
	})
	var next int64
	for _, t := range byOffset {
		if t.off != next {
			return fmt.Errorf("tensor %q begins at byte %d of the data, the one before it ends at %d", clip(t.name),
				t.off, next)
		}
		next = t.off + t.size
	}
	if next != size {
		return fmt.Errorf("tensors end at byte %d of the data, which has %d", next, size)
	}
	return nil
}

// tensors are all stored tensors of a folder, by name.
type tensors struct {
	byName map[string]*stored
	shards []*shard
}

func (ts *tensors) close() error {
	var errs []error
	for _, s := range ts.shards {
		if s.file != nil {
			errs = append(errs, s.file.Close())
		}
	}
	ts.shards = nil
	return errors.Join(errs...)
}

// add opens one file of the folder. Of a tensor that is in several files, that of the one which the index names is
// taken.
func (ts *tensors) add(dir, name string, index object) error {
	f, size, err := openRegular(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	s := &shard{name: name, r: f, file: f}
	ts.shards = append(ts.shards, s)
	list, err := parseSafetensors(s, size)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, t := range list {
		other, twice := ts.byName[t.name]
		switch {
		case twice && index[t.name] == other.file.name:
			continue
		case twice && index[t.name] != name:
			return fmt.Errorf("tensor %q is in %s and in %s", clip(t.name), other.file.name, name)
		}
		ts.byName[t.name] = t
	}
	return nil
}

const (
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"
)

// openTensors opens model.safetensors, or, where there is none, the shards that model.safetensors.index.json lists.
func openTensors(dir string) (*tensors, error) {
	ts := &tensors{byName: map[string]*stored{}}
	if err := ts.openAll(dir); err != nil {
		ts.close()
		return nil, err
	}
	return ts, nil
}

func (ts *tensors) openAll(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, singleFile)); err == nil {
		// An index beside it is left from an older model, or lists this file alone. Transformers takes the file too.
		return ts.add(dir, singleFile, nil)
	}
	index, err := readObject(dir, indexFile)
	if err != nil {
		return err
	}
	if index == nil {
		err := ts.add(dir, singleFile, nil)
		if errors.Is(err, os.ErrNotExist) {
			return missingWeights(dir)
		}
		return err
	}
	weightMap, ok := index["weight_map"].(object)
	if !ok {
		return fmt.Errorf("%s: it has no weight_map", indexFile)
	}
	files := map[string]bool{}
	for name, v := range weightMap {
		file, ok := v.(string)
		if !ok || file == "" || file != filepath.Base(file) || strings.ContainsAny(file, `/\`) || file == ".." ||
			file == "." {
			return fmt.Errorf("%s: tensor %q is said to be in %q, which is not the name of a file in the folder",
				indexFile, clip(name), clip(fmt.Sprint(v)))
		}
		files[file] = true
	}
	if len(files) == 0 || len(files) > maxShards {
		return fmt.Errorf("%s: it lists %d files, not 1 to %d", indexFile, len(files), maxShards)
	}
	for _, file := range sortedKeys(files) {
		if err := ts.add(dir, file, weightMap); errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("shard %s, which %s lists, is missing", clip(file), indexFile)
		} else if err != nil {
			return err
		}
	}
	return nil // what the index has in the wrong file is found, and what no file has is missed if it is needed
}

// missingWeights says what a folder without safetensors holds instead.
func missingWeights(dir string) error {
	for _, pattern := range []string{"*.gguf", "*.safetensors", "*.bin", "*.pth", "*.pt"} {
		found, err := filepath.Glob(filepath.Join(escapeGlob(dir), pattern))
		if err != nil || len(found) == 0 {
			continue
		}
		name := filepath.Base(found[0])
		switch pattern {
		case "*.gguf":
			return fmt.Errorf("there is no %s, but %s: give that file's path", singleFile, name)
		case "*.safetensors":
			return fmt.Errorf("there is %s, but neither %s nor %s", name, singleFile, indexFile)
		}
		return fmt.Errorf("there is no %s, only %s: pickled weights are not read, because to read them runs code; save the model as safetensors", singleFile, name)
	}
	return fmt.Errorf("there is neither %s nor %s", singleFile, indexFile)
}

// escapeGlob makes a path match itself alone.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
