package kv

import (
	"errors"
	"fmt"
)

// ErrNoPages reports that all pages of the cache are in use.
var ErrNoPages = errors.New("kv: no free page")

// Pool hands out pages of a cache. It belongs to one goroutine.
type Pool struct {
	free []int32 // stack
}

// NewPool returns a pool of pages 0..n-1.
func NewPool(n int) *Pool {
	p := &Pool{free: make([]int32, n)}
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
		return table, fmt.Errorf("%w: %d wanted, %d free", ErrNoPages, n, len(p.free))
	}
	for range n {
		last := len(p.free) - 1
		table = append(table, p.free[last])
		p.free = p.free[:last]
	}
	return table, nil
}

// Return gives the pages of table back.
func (p *Pool) Return(table []int32) { p.free = append(p.free, table...) }
