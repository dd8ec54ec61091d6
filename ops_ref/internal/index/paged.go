package index

import "fmt"

// Paged finds tokens in a paged cache.
type Paged struct {
	Pos, Seq []int32 // of each token of the step; Seq is negative for padding

	page   int // tokens in a page
	perSeq int // width of the page table
	table  []int32
}

// NewPaged returns where tokens are in a cache with the given number of tokens in a page. table holds perSeq pages
// for each sequence.
func NewPaged(page int, pos, seq, table []int32, perSeq int) Paged {
	return Paged{Pos: pos, Seq: seq, page: page, perSeq: perSeq, table: table}
}

// Check returns an error unless every token of the step, and all before it in its sequence, has a page in a cache of
// the given number of pages.
func (p Paged) Check(pages int) error {
	seqs := len(p.table) / p.perSeq
	for t, s := range p.Seq {
		if s < 0 {
			continue
		}
		if int(s) >= seqs {
			return fmt.Errorf("token %d is of sequence %d, the page table has %d", t, s, seqs)
		}
		if p.Pos[t] < 0 || int(p.Pos[t]) >= p.perSeq*p.page {
			return fmt.Errorf("token %d is at position %d, the page table covers %d", t, p.Pos[t], p.perSeq*p.page)
		}
		for i := range int(p.Pos[t])/p.page + 1 {
			if id := p.table[int(s)*p.perSeq+i]; id < 0 || int(id) >= pages {
				return fmt.Errorf("page %d of sequence %d is %d, the cache has %d pages", i, s, id, pages)
			}
		}
	}
	return nil
}

// Positions returns how many positions of a sequence the page table covers.
func (p Paged) Positions() int { return p.perSeq * p.page }

// Row returns the place of a position of a sequence, counted in tokens from the start of the cache.
func (p Paged) Row(seq, pos int) int {
	return int(p.table[seq*p.perSeq+pos/p.page])*p.page + pos%p.page
}

// Stretch returns the place of a position of a sequence, and how many positions from it on, at most n, lie behind each
// other.
func (p Paged) Stretch(seq, pos, n int) (place, count int) {
	return p.Row(seq, pos), min(n, p.page-pos%p.page)
}
