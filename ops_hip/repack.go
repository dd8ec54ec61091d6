package opship

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/tensor"
)

// layout is how rows of weights of a type lie in device memory if not as in files: as planes, one part of all blocks
// of a row after the other, so that lanes read aligned vectors. See weight_row in kernels/quant.h.
type layout struct {
	block  int // elements of a block
	file   int // bytes of a block in files
	packed int // bytes of a repacked one

	// repack writes the row of n blocks src to dst, which has n·packed bytes.
	repack func(dst, src []byte, n int)
}

// layouts are the types that are repacked. repack_<type>.go add theirs from init.
var layouts = map[tensor.DType]layout{}

// rowAlign is the alignment of repacked rows in bytes.
const rowAlign = 16

// planes is the name of their layout.
const planes = "planes"

// row returns the size of a repacked row of k elements.
func (l layout) row(k int) int64 {
	return (int64(k/l.block)*int64(l.packed) + rowAlign - 1) &^ (rowAlign - 1)
}

// LayoutOf returns the layout that the registered kernels want a weight in, on all targets: planes for the types that
// have them, else that of files, also of what is no weight's type and shape.
func LayoutOf(u ops.WeightUse) tensor.Layout {
	l, ok := layouts[u.DType]
	if !ok {
		return tensor.Layout{}
	}
	if n, err := tensor.Bytes(u.DType, u.Shape); err != nil || n > math.MaxInt64/4 {
		return tensor.Layout{}
	}
	rows := u.Shape[:len(u.Shape)-1].Elems()
	return tensor.Layout{Name: planes, Bytes: int64(rows) * l.row(u.Shape.Last()), Rows: 1}
}

// Layout returns LayoutOf(u).
func (d *Device) Layout(u ops.WeightUse) tensor.Layout { return LayoutOf(u) }

// checkLayout reports whether t lies as in files, or in the layout of its type, whole.
func checkLayout(t tensor.Tensor) error {
	if t.Layout.IsZero() {
		return nil
	}
	if _, err := planesOf(t); err != nil {
		return err
	}
	if want := LayoutOf(ops.WeightUse{DType: t.DType, Shape: t.Shape}); t.Layout != want {
		return fmt.Errorf("layout %+v of %v%v, want %+v", t.Layout, t.DType, t.Shape, want)
	}
	return nil
}

// planesOf returns how the rows of t, which is not as in files, lie in memory.
func planesOf(t tensor.Tensor) (layout, error) {
	l, ok := layouts[t.DType]
	if !ok || t.Layout.Name != planes {
		return layout{}, fmt.Errorf("layout %q of type %v is not known", t.Layout.Name, t.DType)
	}
	return l, nil
}

// readAs reports whether v is a weight in the layout that kernels read its type in.
func readAs(v ops.Value) bool {
	n := v.Node()
	if _, ok := layouts[v.DType()]; ok {
		return n.Leaf == ops.Weight && n.Tensor.Layout.Name == planes
	}
	return n.Tensor.Layout.IsZero()
}

// withLayoutHint adds to the error of a node without kernel which weight of g lies as no kernel reads it.
func (d *Device) withLayoutHint(g *ops.Graph, err error) error {
	if !errors.Is(err, ops.ErrUnsupported) {
		return err
	}
	for _, n := range g.Nodes {
		if n.Leaf != ops.Weight || readAs(n.Result(0)) {
			continue
		}
		lies := "as in files"
		if !n.Tensor.Layout.IsZero() {
			lies = fmt.Sprintf("in layout %q", n.Tensor.Layout.Name)
		}
		want := "as in files"
		if l := d.Layout(ops.WeightUse{Name: n.Name, DType: n.Tensor.DType, Shape: n.Tensor.Shape}); !l.IsZero() {
			want = fmt.Sprintf("in layout %q", l.Name)
		}
		return fmt.Errorf("%w: weight %q of type %v lies %s, kernels read it %s", err, n.Name, n.Tensor.DType, lies,
			want)
	}
	return err
}

// repackMin is the number of bytes from which on rows are repacked on several cores.
const repackMin = 128 << 10

// repackRows writes rows of k elements to dst, of which it fills the whole length: row(k) bytes for each of src.
func (l layout) repackRows(dst, src []byte, k int) {
	blocks, size := k/l.block, int(l.row(k))
	one := func(lo, hi int) {
		for r := lo; r < hi; r++ {
			out := dst[r*size:][:size]
			l.repack(out, src[r*blocks*l.file:][:blocks*l.file], blocks)
			clear(out[blocks*l.packed:])
		}
	}
	rows := len(dst) / size
	parts := min(runtime.GOMAXPROCS(0), rows, len(dst)/repackMin)
	if parts < 2 {
		one(0, rows)
		return
	}
	var wg sync.WaitGroup
	for p := range parts {
		wg.Go(func() { one(p*rows/parts, (p+1)*rows/parts) })
	}
	wg.Wait()
}

// uploadChunk is how many bytes are repacked at a time, if rows are not larger: few enough for a cache.
const uploadChunk = 1 << 20

// uploadRepacked is Upload of whole rows of a weight that has a layout. dst may be some rows of it.
func (s *stream) uploadRepacked(dst tensor.Tensor, src []byte) error {
	l, err := planesOf(dst)
	if err != nil {
		return fmt.Errorf("opship: upload of %q: %w", dst.Name, err)
	}
	k := dst.Shape.Last()
	from, to := k/l.block*l.file, int(l.row(k))
	if len(src)%from != 0 {
		return fmt.Errorf("opship: upload of %q: %d bytes are not whole rows of %d, which repacking needs", dst.Name,
			len(src), from)
	}
	addr, err := s.check("upload", dst, len(src), int64(len(src)/from)*int64(to))
	for err == nil && len(src) > 0 {
		rows := min(max(1, uploadChunk/to), len(src)/from)
		if cap(s.rows) < rows*to {
			s.rows = make([]byte, rows*to)
		}
		m := s.rows[:rows*to]
		l.repackRows(m, src[:rows*from], k)
		err = s.send(dst.Buf, addr, m)
		src, addr = src[rows*from:], addr+hiprt.Ptr(len(m))
	}
	return err
}
