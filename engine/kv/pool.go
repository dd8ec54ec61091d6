package kv

import (
	"errors"
	"fmt"
)

// ErrNoPages reports that all pages of the cache are in use.
var ErrNoPages = errors.New("kv: no free page")

// Pool hands out pages of a cache. Several page tables may hold one page, as long as nobody writes to it. A Pool
// belongs to one goroutine.
type Pool struct {
	free []int32 // stack
	refs []int32 // page tables that hold each page
}

// NewPool returns a pool of pages 0..n-1.
func NewPool(n int) *Pool {
	p := &Pool{free: make([]int32, n), refs: make([]int32, n)}
	for i := range p.free {
		p.free[i] = int32(n - 1 - i)
	}
	return p
}

// Free returns the number of pages that can be taken.
func (p *Pool) Free() int { return len(p.free) }

// Take appends n pages to table, or takes none and returns an error that wraps ErrNoPages.
func (p *Pool) Take(table []int32, n int) ([]int32, error) {
	if n > len(p.free) {
		return table, fmt.Errorf("%w: %d wanted, %d free of %d", ErrNoPages, n, len(p.free), len(p.refs))
	}
	for range n {
		last := len(p.free) - 1
		page := p.free[last]
		p.free = p.free[:last]
		p.refs[page] = 1
		table = append(table, page)
	}
	return table, nil
}

// Share appends pages, which another table holds, to table. Each holder returns them.
func (p *Pool) Share(table, pages []int32) []int32 {
	for _, page := range pages {
		p.refs[page]++
	}
	return append(table, pages...)
}

// Shared reports whether several tables hold the page.
func (p *Pool) Shared(page int32) bool { return p.refs[page] > 1 }

// Return gives the pages of table back; a page is free when its last holder returned it.
func (p *Pool) Return(table []int32) {
	for _, page := range table {
		if p.refs[page]--; p.refs[page] == 0 {
			p.free = append(p.free, page)
		}
	}
}
