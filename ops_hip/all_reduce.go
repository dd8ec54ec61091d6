package opship

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/tensor"
)

// The layout of a rank's box, as kernels/all_reduce.hip has it.
const (
	maxRanks      = 8
	maxRankBlocks = 64
	pieceFloats   = 4096
	boxPieces     = 64 << 10 // where pieces start; before them, addresses of all boxes, counters and flags
	finestPiece   = 1024     // floats that a block moves with one instruction a thread
)

// allReduceRankOp is what one rank does of an all-reduce: it gives its part to the others, and adds theirs.
var allReduceRankOp = &ops.Def{
	Name: "all_reduce_rank",
	Infer: func(n *ops.Node) error {
		if len(n.In) != 1 {
			return fmt.Errorf("%d inputs, want 1", len(n.In))
		}
		n.Out = []ops.Type{n.In[0].Type()}
		return nil
	},
	Work: func(n *ops.Node) (flop, bytes int64) {
		a, elems := n.Attrs.(allReduceRank), int64(n.In[0].Shape().Elems())
		others := int64(len(a.ranks.boxes) - 1)
		return others * elems, 4 * elems * (2 + 2*others)
	},
}

// allReduceRank are the attributes of allReduceRankOp.
type allReduceRank struct {
	ranks *ranks
	rank  int
	turn  int64 // more than that of those before it on the rank
}

func init() {
	Register(Kernel{
		Name:  "all_reduce_f32",
		Op:    allReduceRankOp,
		Match: func(n *ops.Node, _ *Target) int { return matchIf(takesPart(n.In[0].Type()), matchPlain) },
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			a, elems := n.Attrs.(allReduceRank), n.In[0].Shape().Elems()
			blocks, piece := a.ranks.shape(elems)
			return one(Launch{Object: "all_reduce", Symbol: "all_reduce_f32", Grid: [3]uint32{uint32(blocks)},
				Block: [3]uint32{256},
				Args: Args{}.Ptr(n.In[0]).Ptr(n.Result(0)).addr(a.ranks.boxes[a.rank].addr).U32(uint32(elems)).
					U32(uint32(a.rank)).U32(uint32(len(a.ranks.boxes))).U32(uint32(blocks)).U32(uint32(piece))})
		},
	})
}

// takesPart reports whether the kernel adds values of a type.
func takesPart(t ops.Type) bool {
	return t.DType == tensor.F32 && t.Shape.Elems()%4 == 0 && fits(t.Shape.Elems()+maxRankBlocks*pieceFloats)
}

// addr adds an address that is not the plan's.
func (a Args) addr(p hiprt.Ptr) Args { return a.add(8, uint64(p), true) }

// ranks are devices that add up what each of them has made, without the host.
type ranks struct {
	boxes  []*box
	blocks int // that all devices run at once
	turns  atomic.Int64
}

var _ ops.Ranks = (*ranks)(nil)

// boxBytes returns the size of the box of each of n ranks.
func boxBytes(n int) int64 { return boxPieces + 2*int64(n)*maxRankBlocks*pieceFloats*4 }

// box is memory that a device and its peers see alike.
type box struct {
	dev  *Device
	addr hiprt.Ptr
	size int64
}

// shape returns how many blocks deal with so many floats, and the size of their pieces: small ones where that gives all
// blocks something to do.
func (r *ranks) shape(elems int) (blocks, piece int) {
	piece = min(cover(cover(elems, r.blocks), finestPiece)*finestPiece, pieceFloats)
	return min(cover(elems, piece), r.blocks), piece
}

// newRanks is Ranks of the device's ops.Caps.
func newRanks(devices []ops.Device) (_ ops.Ranks, err error) {
	n := len(devices)
	if n < 2 || n > maxRanks {
		return nil, fmt.Errorf("opship: %d ranks, want 2..%d", n, maxRanks)
	}
	r := &ranks{blocks: maxRankBlocks}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	var devs []*Device
	for i, x := range devices {
		d, ok := x.(*Device)
		if !ok {
			return nil, fmt.Errorf("opship: %s is no GPU", x.Info().Name)
		}
		for _, e := range devs {
			switch {
			case e.rt != d.rt:
				return nil, fmt.Errorf("opship: %s and %s have runtimes of their own", e.info.Name, d.info.Name)
			case e.ordinal == d.ordinal:
				// Nothing says that its blocks for both ranks run at once.
				return nil, fmt.Errorf("opship: rank %d is on %s, where another is too", i, d.info.Name)
			}
		}
		devs = append(devs, d)
		r.blocks = max(1, min(r.blocks, d.target.CUs))
	}
	for _, d := range devs {
		peers, ok := d.rt.(hiprt.Peers)
		if !ok {
			return nil, fmt.Errorf("opship: %s: devices do not reach each other's memory: %w", d.info.Name, ops.ErrUnsupported)
		}
		b := &box{dev: d, size: boxBytes(n)}
		if err := d.thread.Do(background, func() error { return b.open(peers, devs) }); err != nil {
			return nil, fmt.Errorf("opship: %s: %w", d.info.Name, err)
		}
		r.boxes = append(r.boxes, b)
		d.ledger.add(ops.MemPlans, b.size)
	}
	table := make([]byte, 8*maxRanks)
	for i, b := range r.boxes {
		binary.LittleEndian.PutUint64(table[8*i:], uint64(b.addr))
	}
	for _, b := range r.boxes {
		if err := b.write(table); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// open lets the device reach its peers' memory, and allocates the box, all zero. It runs in the device's turn.
func (b *box) open(peers hiprt.Peers, devs []*Device) (err error) {
	d := b.dev
	for _, e := range devs {
		if e != d {
			if err := peers.Reach(d.ordinal, e.ordinal); err != nil {
				return err
			}
		}
	}
	if b.addr, err = peers.MallocShared(b.size); err != nil {
		return err
	}
	if err := errors.Join(d.rt.Memset(b.addr, 0, b.size, d.service), d.rt.SyncStream(d.service)); err != nil {
		return errors.Join(err, d.rt.Free(b.addr))
	}
	return nil
}

// write puts the table of all boxes at the start.
func (b *box) write(table []byte) error {
	pinned, err := b.dev.alloc(int64(len(table)), ops.MemPinned)
	if err != nil {
		return err
	}
	copy(pinned.host.Bytes, table)
	err = b.dev.thread.Do(background, func() error {
		d := b.dev
		return errors.Join(d.rt.CopyToDevice(b.addr, pinned.host.Bytes[:len(table)], d.service), d.rt.SyncStream(d.service))
	})
	return errors.Join(err, pinned.Free())
}

// inTurn demands that all-reduces of a graph are in the order in which they were recorded, as they are on other ranks.
func inTurn(g *ops.Graph) error {
	last := int64(0)
	for _, n := range g.Nodes {
		if a, ok := n.Attrs.(allReduceRank); ok {
			if a.turn < last {
				return fmt.Errorf("opship: %s: %v comes in another turn than on other ranks", n.Pos, n)
			}
			last = a.turn
		}
	}
	return nil
}

// AllReduce implements [ops.Ranks].
func (r *ranks) AllReduce(g *ops.Graph, rank int, part ops.Value) (ops.Value, bool) {
	if !takesPart(part.Type()) {
		return ops.Value{}, false
	}
	return g.Add(allReduceRankOp, allReduceRank{r, rank, r.turns.Add(1)}, part)[0], true
}

// Close frees the boxes.
func (r *ranks) Close() error {
	var errs []error
	for _, b := range r.boxes {
		b.dev.ledger.add(ops.MemPlans, -b.size)
		errs = append(errs, b.dev.thread.Do(background, func() error { return b.dev.rt.Free(b.addr) }))
	}
	r.boxes = nil
	return errors.Join(errs...)
}
