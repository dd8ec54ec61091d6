package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/hipengine/hipengine/tensor"
)

// File is an open GGUF file: all parts of it when it is split. Its methods may be called from several goroutines,
// Close excepted.
type File struct {
	Version   int          // 2 or 3, of the first part
	Alignment int64        // of the first part's tensors, in bytes
	Meta      *Meta        // of the first part: later parts repeat nothing
	Tensors   []TensorInfo // in file order, part by part
	Parts     []Part       // one for a file that is not split

	parts  []*source
	byName map[string]int // index in Tensors
}

// Part describes one file of a model.
type Part struct {
	Path string // empty for one that was read from memory
	Size int64  // bytes
	Data int64  // offset of the data section; beyond Size in a file that ends with its metadata
}

// TensorInfo describes a tensor of a file.
type TensorInfo struct {
	Name   string
	DType  tensor.DType
	Shape  tensor.Shape // outermost dimension first; empty for a scalar
	Offset int64        // of its first byte in its part
	Size   int64        // bytes
	Part   int          // index in File.Parts
}

// source is the storage of one part.
type source struct {
	r    io.ReaderAt
	path string
	size int64
	file *os.File // nil for memory

	mu     sync.Mutex
	mapped []byte // the whole part, nil until it is mapped
	unmap  func() error
}

// Open reads the metadata of the model at path. For a split model path is the first part, and the others are
// opened from the same directory by their names; another part is an error that names the first. Broken contents
// give a *[FormatError]. The caller must Close the file.
func Open(path string) (*File, error) {
	f := &File{byName: map[string]int{}}
	if err := f.openAll(path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// New reads the metadata of a model in one part from r, which holds size bytes and must stay unchanged for the
// life of the File. The part of a split model is an error: it needs a path to find its siblings.
func New(r io.ReaderAt, size int64) (*File, error) {
	return newFile(&source{r: r, size: size})
}

// NewBytes is [New] for a model in memory, for example an embedded one. [File.Map] then returns slices of data.
func NewBytes(data []byte) (*File, error) {
	return newFile(&source{r: bytes.NewReader(data), size: int64(len(data)), mapped: data})
}

func newFile(s *source) (*File, error) {
	f := &File{byName: map[string]int{}}
	if s.size < 0 {
		return nil, fmt.Errorf("gguf: negative size %d", s.size)
	}
	h, err := f.add(s)
	if err != nil {
		return nil, err
	}
	sp, err := splitOf(&h.meta)
	if err != nil {
		return nil, &FormatError{Offset: -1, Err: err}
	}
	if sp.count > 1 {
		return nil, &FormatError{Offset: -1,
			Err: fmt.Errorf("part %d of a model split into %d; open it by its path", sp.no+1, sp.count)}
	}
	return f, nil
}

// add parses a part and appends its tensors.
func (f *File) add(s *source) (*header, error) {
	h, err := parse(s.r, s.size, s.path)
	if err != nil {
		var format *FormatError
		switch {
		case errors.As(err, &format):
		case s.path == "":
			err = fmt.Errorf("gguf: %w", err)
		default:
			err = fmt.Errorf("gguf: %s: %w", s.path, err)
		}
		return nil, err
	}
	part := len(f.parts)
	f.parts = append(f.parts, s)
	f.Parts = append(f.Parts, Part{Path: s.path, Size: s.size, Data: h.data})
	if part == 0 {
		f.Version, f.Alignment, f.Meta = h.version, h.alignment, &h.meta
	}
	for _, t := range h.tensors {
		if i, ok := f.byName[t.Name]; ok {
			err := errors.New("duplicate name")
			if p := f.Tensors[i].Part; p != part {
				err = fmt.Errorf("duplicate name, it is in %s already", f.parts[p].path)
			}
			return nil, &FormatError{Path: s.path, What: fmt.Sprintf("tensor %q", t.Name), Offset: -1, Err: err}
		}
		t.Part = part
		f.byName[t.Name] = len(f.Tensors)
		f.Tensors = append(f.Tensors, t)
	}
	return h, nil
}

// Close releases the files and every slice that Map returned. It may be called more than once.
func (f *File) Close() error {
	var errs []error
	for _, s := range f.parts {
		errs = append(errs, s.close())
	}
	f.parts = nil
	return errors.Join(errs...)
}

func (s *source) close() error {
	var errs []error
	if s.unmap != nil {
		errs = append(errs, s.unmap())
	}
	s.mapped, s.unmap = nil, nil
	if s.file != nil {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}

// Tensor returns the tensor with the given name.
func (f *File) Tensor(name string) (TensorInfo, bool) {
	i, ok := f.byName[name]
	if !ok {
		return TensorInfo{}, false
	}
	return f.Tensors[i], true
}

// source returns the part that holds t, having checked that t lies inside it.
func (f *File) source(t TensorInfo) (*source, error) {
	if f.parts == nil {
		return nil, fmt.Errorf("gguf: tensor %q: file is closed", t.Name)
	}
	if t.Part < 0 || t.Part >= len(f.parts) {
		return nil, fmt.Errorf("gguf: tensor %q: part %d of %d", t.Name, t.Part, len(f.parts))
	}
	s := f.parts[t.Part]
	if t.Offset < 0 || t.Size < 0 || t.Offset > s.size || t.Size > s.size-t.Offset {
		return nil, fmt.Errorf("gguf: tensor %q: bytes %d to %d of a part of %d bytes", t.Name, t.Offset,
			t.Offset+t.Size, s.size)
	}
	return s, nil
}

// ReadTensor fills p with the bytes of t from byte offset off inside the tensor. It is an error to reach beyond
// the tensor.
func (f *File) ReadTensor(t TensorInfo, p []byte, off int64) error {
	s, err := f.source(t)
	if err != nil {
		return err
	}
	if off < 0 || off > t.Size || int64(len(p)) > t.Size-off {
		return fmt.Errorf("gguf: tensor %q: reading %d bytes at %d of %d", t.Name, len(p), off, t.Size)
	}
	if n, err := s.r.ReadAt(p, t.Offset+off); n < len(p) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("gguf: tensor %q: %w", t.Name, err)
	}
	return nil
}

// Reader returns a reader of the bytes of t. It stays valid until Close.
func (f *File) Reader(t TensorInfo) *io.SectionReader {
	s, err := f.source(t)
	if err != nil {
		return io.NewSectionReader(failing{err}, 0, max(t.Size, 1))
	}
	return io.NewSectionReader(s.r, t.Offset, t.Size)
}

// failing is the reader of a tensor that the file does not have.
type failing struct{ err error }

func (r failing) ReadAt([]byte, int64) (int, error) { return 0, r.err }

// Map returns the bytes of t without copying where that is possible: the first call maps the whole part of the
// file read-only into memory, and Close unmaps it. Writing to the slice faults, and so does reading it after
// Close or after another process truncated the file. The address is a multiple of the part's alignment and
// perhaps no more; for a File made by [NewBytes] even that depends on the address of its data.
//
// Where mapping is not possible (other systems than Linux, macOS and the BSDs, a file larger than the address
// space, a File made by [New]) Map returns a copy of the tensor, which belongs to the caller.
func (f *File) Map(t TensorInfo) ([]byte, error) {
	s, err := f.source(t)
	if err != nil {
		return nil, err
	}
	b, err := s.view()
	if err != nil {
		return nil, fmt.Errorf("gguf: tensor %q: %w", t.Name, err)
	}
	if b == nil {
		if int64(int(t.Size)) != t.Size {
			return nil, fmt.Errorf("gguf: tensor %q: %d bytes exceed the address space", t.Name, t.Size)
		}
		p := make([]byte, t.Size)
		return p, f.ReadTensor(t, p, 0)
	}
	return b[t.Offset : t.Offset+t.Size : t.Offset+t.Size], nil
}

// view maps the part on first use. It returns nil where there is nothing to map.
func (s *source) view() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mapped != nil || s.file == nil || int64(int(s.size)) != s.size {
		return s.mapped, nil
	}
	var err error
	s.mapped, s.unmap, err = mapFile(s.file, int(s.size))
	return s.mapped, err
}
