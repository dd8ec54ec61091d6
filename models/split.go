package models

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hipengine/hipengine/tensor"
)

// MaxRanks is the most ranks that a model can be split over.
const MaxRanks = 16

// Range is the elements, or units, Lo to Hi-1.
type Range struct{ Lo, Hi int }

// Len returns the number of elements.
func (r Range) Len() int { return r.Hi - r.Lo }

// Segment is a run of units along an axis, of Size elements each: heads, groups of heads, columns of a network.
type Segment struct {
	Kind  string // what the units are; a block divides each kind among the ranks
	Units int
	Size  int
}

// Split says how ranks share a tensor: Segments follow each other along Axis, counted from the outermost, and each rank
// holds its units of each. Without segments every rank holds the whole tensor.
type Split struct {
	Axis     int
	Segments []Segment
	First    bool // rank 0 alone has the tensor, since it is added once
}

// Share is what one rank of a model that is split holds of a tensor.
type Share struct {
	Rank   int
	Whole  string       // name of the whole tensor
	Of     tensor.Shape // its shape
	Axis   int
	Ranges []Range // elements along Axis, put one behind the other; nil: all
}

// Splitter is a model that several ranks can run together.
type Splitter interface {
	Model

	// Split returns the model as n ranks run it, 2..MaxRanks: its weights and states carry names by [RankName], and
	// its graph is all ranks' work, which meets in collective ops (ops.AllReduce). block returns how many neighbouring
	// elements of a row cannot be parted where rows are divided by units of the given kind. The error says what cannot
	// be divided.
	Split(n int, block func(kind string) int) (Model, error)
}

// SplitModel returns m as n ranks run it, each with the heads, columns and rows of the weights that are its share, and
// the same outputs. n of 1 is m itself. Weights that are not divided, such as norms, are there once for each rank. The
// error names the architecture and what cannot be divided, or the tensor of src whose blocks would be.
func SplitModel(m Model, n int, src Source) (Model, error) {
	arch := m.Params().Arch
	if n == 1 {
		return m, nil
	}
	if n < 1 || n > MaxRanks {
		return nil, fmt.Errorf("models: %s over %d ranks: want 1..%d", arch, n, MaxRanks)
	}
	s, ok := m.(Splitter)
	if !ok {
		return nil, fmt.Errorf("models: %s cannot be split over ranks", arch)
	}
	rs, err := find(m, src)
	if err != nil {
		return nil, err
	}
	blocks := map[string]int{}
	for _, r := range rs {
		sp := r.spec.Split
		if r.t.DType != r.dtype || sp.Axis != len(r.spec.Shape)-1 {
			continue
		}
		f, _ := r.dtype.Format() // resolve checked it
		for _, seg := range sp.Segments {
			blocks[seg.Kind] = max(blocks[seg.Kind], f.Block)
		}
	}
	out, err := s.Split(n, func(kind string) int { return max(blocks[kind], 1) })
	if err != nil {
		return nil, fmt.Errorf("models: %s cannot be split over %d ranks: %w", arch, n, err)
	}
	if err := Check(out, src); err != nil {
		return nil, fmt.Errorf("models: %s cannot be split over %d ranks: %w", arch, n, err)
	}
	return out, nil
}

// RankName returns the name under which rank r of a model that is split has the weight or state called name.
func RankName(name string, r int) string { return name + "@" + strconv.Itoa(r) }

// RankOf returns the rank in a name by [RankName], and the name without it; false for other names.
func RankOf(name string) (whole string, rank int, ok bool) {
	whole, digits, ok := strings.Cut(name, "@")
	if !ok {
		return name, 0, false
	}
	rank, err := strconv.Atoi(digits)
	return whole, rank, err == nil && rank >= 0
}

// ShareOf returns the spec of what rank r holds of s, given the units of each kind that it has; false if that is nothing.
func (s WeightSpec) ShareOf(r int, units map[string][]Range) (WeightSpec, bool) {
	if s.Split.First && r > 0 {
		return s, false
	}
	sh := &Share{Rank: r, Whole: s.Name, Of: s.Shape, Axis: s.Split.Axis}
	s.Name, s.Share = RankName(s.Name, r), sh
	if len(s.Split.Segments) == 0 {
		return s, true
	}
	at, n := 0, 0
	for _, seg := range s.Split.Segments {
		for _, u := range units[seg.Kind] {
			lo, hi := at+u.Lo*seg.Size, at+u.Hi*seg.Size
			if k := len(sh.Ranges) - 1; k >= 0 && sh.Ranges[k].Hi == lo {
				sh.Ranges[k].Hi = hi
			} else {
				sh.Ranges = append(sh.Ranges, Range{lo, hi})
			}
			n += hi - lo
		}
		at += seg.Units * seg.Size
	}
	s.Shape = slices.Clone(s.Shape)
	s.Shape[sh.Axis] = n
	return s, true
}

// cut is a share of a tensor as bytes: of every stride bytes of the whole, runs.
type cut struct {
	stride int64
	runs   []run
	inner  int64 // bytes of all runs
}

type run struct{ off, size int64 }

// take makes the share that spec describes of r, which is the whole tensor.
func (r *resolved) take(spec WeightSpec) error {
	sh := spec.Share
	r.spec, r.t.Name = spec, spec.Name
	if sh.Ranges == nil || spec.Derive == nil && r.from == nil {
		return nil
	}
	block := 1
	if spec.Derive == nil {
		f, _ := r.dtype.Format() // resolveOne checked it
		block = f.Block
	}
	if sh.Axis < len(sh.Of)-1 {
		block = 1
	}
	for _, x := range sh.Ranges {
		if x.Lo%block != 0 || x.Hi%block != 0 {
			return fmt.Errorf("tensor %q: rank %d holds columns %d to %d, which parts a block of %d elements of %v",
				sh.Whole, sh.Rank, x.Lo, x.Hi-1, block, r.dtype)
		}
	}
	r.t.Shape = spec.Shape
	var err error
	if r.stored, err = tensor.Bytes(r.t.DType, r.t.Shape); err != nil {
		return fmt.Errorf("tensor %q: %w", spec.Name, err)
	}
	stride, err := tensor.Bytes(r.dtype, sh.Of[sh.Axis:])
	if err != nil {
		return fmt.Errorf("tensor %q: %w", sh.Whole, err)
	}
	r.cut = &cut{stride: stride}
	for _, x := range sh.Ranges {
		of := int64(sh.Of[sh.Axis]) // an element may be less than a byte, the bounds are whole blocks
		y := run{stride * int64(x.Lo) / of, stride * int64(x.Len()) / of}
		r.cut.runs = append(r.cut.runs, y)
		r.cut.inner += y.size
	}
	return nil
}

// floats takes the share of the elements of the whole tensor.
func (s *Share) floats(x []float32) []float32 {
	if s.Ranges == nil {
		return x
	}
	inner := s.Of[s.Axis+1:].Elems()
	var out []float32
	for ; len(x) > 0; x = x[s.Of[s.Axis]*inner:] {
		for _, r := range s.Ranges {
			out = append(out, x[r.Lo*inner:r.Hi*inner]...)
		}
	}
	return out
}

// Runs shorter than shortRun are read together with what lies between them, up to gatherBytes at a time.
const (
	shortRun    = 64 << 10
	gatherBytes = 8 << 20
)

// read fills to with the bytes of the share from off on. whole reads bytes of the whole tensor.
func (c *cut) read(to []byte, off int64, whole func(to []byte, off int64) error) error {
	var together []byte
	for len(to) > 0 {
		outer, in := off/c.inner, off%c.inner
		if n := min(int64(len(to))/c.inner, gatherBytes/c.stride); in == 0 && n > 0 && c.inner < shortRun {
			last := c.runs[len(c.runs)-1]
			first := outer*c.stride + c.runs[0].off
			need := (n-1)*c.stride + last.off + last.size - c.runs[0].off
			if int64(len(together)) < need {
				together = make([]byte, need)
			}
			if err := whole(together[:need], first); err != nil {
				return err
			}
			for i := range n {
				for _, r := range c.runs {
					to = to[copy(to, together[i*c.stride+r.off-c.runs[0].off:][:r.size]):]
				}
			}
			off += n * c.inner
			continue
		}
		for _, r := range c.runs {
			if in >= r.size {
				in -= r.size
				continue
			}
			n := min(r.size-in, int64(len(to)))
			if err := whole(to[:n], outer*c.stride+r.off+in); err != nil {
				return err
			}
			to, off = to[n:], off+n
			break
		}
	}
	return nil
}
