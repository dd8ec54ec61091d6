package opsref

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
)

func init() { Register(ops.KVAppendOp, kvAppend[float32], kvAppend[float64]) }

func kvAppend[T Float](c *Call[T]) error {
	cache, x := c.Out[0], c.In[1]
	heads := x.Shape[1]
	at, err := newPaged(cache.Shape[0], cache.Shape[1], c.In[2], c.In[3], c.In[4])
	if err != nil {
		return err
	}
	return c.Pool.For(x.Shape[0], 16, func(lo, hi int) {
		for t := lo; t < hi; t++ {
			if at.seq[t] < 0 {
				continue
			}
			place := at.row(int(at.seq[t]), int(at.pos[t]))
			for h := range heads {
				cache.SetRow(place*heads+h, x.Row(t*heads+h, nil))
			}
		}
	})
}

// paged finds tokens in a paged cache.
type paged struct {
	page      int // tokens in a page
	perSeq    int // width of the page table
	pos, seq  []int32
	pageTable []int32
}

// newPaged finds tokens in a cache of the given number and size of pages, and checks that it can.
func newPaged[T Float](pages, page int, pos, seq, table View[T]) (paged, error) {
	p := pagedOf(page, pos, seq, table)
	return p, p.check(pages)
}

// pagedOf is newPaged without the check.
func pagedOf[T Float](page int, pos, seq, table View[T]) paged {
	return paged{page: page, perSeq: table.Shape[1], pos: pos.Ints(), seq: seq.Ints(), pageTable: table.Ints()}
}

// check returns an error unless every token of the step, and all before it in its sequence, has a page in the cache.
func (p paged) check(pages int) error {
	seqs := len(p.pageTable) / p.perSeq
	for t, s := range p.seq {
		if s < 0 {
			continue
		}
		if int(s) >= seqs {
			return fmt.Errorf("token %d is of sequence %d, the page table has %d", t, s, seqs)
		}
		if p.pos[t] < 0 || int(p.pos[t]) >= p.perSeq*p.page {
			return fmt.Errorf("token %d is at position %d, the page table covers %d", t, p.pos[t], p.perSeq*p.page)
		}
		for i := range int(p.pos[t])/p.page + 1 {
			if id := p.pageTable[int(s)*p.perSeq+i]; id < 0 || int(id) >= pages {
				return fmt.Errorf("page %d of sequence %d is %d, the cache has %d pages", i, s, id, pages)
			}
		}
	}
	return nil
}

// row returns the place of a position of a sequence, counted in tokens from the start of the cache.
func (p paged) row(seq, pos int) int {
	return int(p.pageTable[seq*p.perSeq+pos/p.page])*p.page + pos%p.page
}

// stretch returns the place of a position of a sequence, and how many positions from it on, at most n, lie behind each
// other.
func (p paged) stretch(seq, pos, n int) (place, count int) {
	return p.row(seq, pos), min(n, p.page-pos%p.page)
}
