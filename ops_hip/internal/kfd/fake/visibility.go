//go:build linux

package fake

import (
	"bytes"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// acquire brings what the host has stored in shared memory to a GPU: a system acquire.
func (g *gpu) acquire() {
	for _, b := range g.maps {
		if !b.buffered() {
			g.see(b)
		}
	}
}

// flush brings what the host has stored in a GPU's device memory there.
func (g *gpu) flush() {
	for _, b := range g.maps {
		if b.buffered() {
			g.see(b)
		}
	}
}

// see brings what the host has stored in b to a GPU.
func (g *gpu) see(b *bo) {
	v := b.views[g]
	if v.base == nil || g.hidden(b) {
		return
	}
	b.mem.written(func(lo, hi int) {
		for at := lo; at < hi; at += abi.PageSize {
			g.acquirePage(b, v, at)
		}
	})
}

func (g *gpu) acquirePage(b *bo, v *view, at int) {
	page := b.mem.data[at : at+abi.PageSize]
	base, dev := v.base[at:at+abi.PageSize], v.dev[at:at+abi.PageSize]
	if bytes.Equal(page, base) {
		return
	}
	for i, x := range bytes.Clone(page) { // the host may go on writing
		if x == base[i] {
			continue
		}
		if dev[i] != base[i] && dev[i] != x {
			g.race(b, at+i)
		}
		dev[i], base[i] = x, x
	}
}

// release brings what kernels have stored in shared memory to the host: a system release.
func (g *gpu) release() {
	if !g.wrote {
		return
	}
	g.wrote = false
	for _, b := range g.maps {
		v := b.views[g]
		if v.base == nil || g.hidden(b) {
			continue
		}
		v.stores.Each(func(at, end int) bool {
			base, dev, page := v.base[at:end], v.dev[at:end], b.mem.data[at:end]
			if bytes.Equal(dev, base) {
				return false
			}
			for i, x := range dev {
				if x == base[i] {
					continue
				}
				if page[i] != base[i] && page[i] != x {
					g.race(b, at+i)
				}
				page[i], base[i] = x, x
			}
			return false
		})
	}
}

func (g *gpu) race(b *bo, at int) {
	if n := len(g.m.violations); n > 0 && g.m.violations[n-1].Rule == "memory-race" {
		return // one of a run of bytes is enough
	}
	g.m.violate("memory-race", "host and GPU %#x have both stored to byte %#x of %v since they last agreed", g.id, at, b)
}

// unreleased returns a buffer with stores of kernels that the host cannot see yet.
func (g *gpu) unreleased() *bo {
	if !g.wrote {
		return nil
	}
	for _, b := range g.maps {
		v := b.views[g]
		if v.base == nil || g.hidden(b) {
			continue
		}
		found := false
		v.stores.Each(func(lo, hi int) bool {
			differs := !bytes.Equal(v.dev[lo:hi], v.base[lo:hi])
			found = found || differs
			return differs
		})
		if found {
			return b
		}
	}
	return nil
}

// stale reports whether the host has stored to n bytes at addr since the GPU last acquired.
func (g *gpu) stale(addr, n uint64) bool {
	b := g.find(addr)
	if b == nil || b.views[g].base == nil {
		return false
	}
	at := addr - b.va
	end := min(at+n, uint64(len(b.views[g].dev)))
	return !bytes.Equal(b.mem.data[at:end], b.views[g].base[at:end])
}

// device returns n bytes at addr as kernels of the GPU see them.
func (g *gpu) device(addr, n uint64) []byte {
	b := g.find(addr)
	if b == nil {
		return nil
	}
	at, dev := addr-b.va, b.views[g].dev
	if n > uint64(len(dev))-at {
		return nil
	}
	return dev[at : at+n : at+n]
}
