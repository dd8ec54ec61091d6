package pages

import (
	"runtime"
	"sync/atomic"

	"github.com/hipengine/hipengine/ops_ref/internal/cast"
)

// Memory is a block of zeroed bytes, aligned to a cache line at least. It belongs to those who hold it: whoever made
// it, and all who called Hold, until each has called Release.
type Memory struct {
	b       []byte
	holders atomic.Int32
	mapped  bool
	cleanup runtime.Cleanup
}

// New returns a block of n bytes, with one holder.
func New(n int64) (*Memory, error) {
	m := &Memory{}
	m.holders.Store(1)
	if n < Huge {
		m.b = cast.Bytes(n)
		return m, nil
	}
	b, mapped, err := mapMemory(n)
	if err != nil {
		return nil, err
	}
	m.b, m.mapped = b, mapped
	if mapped {
		m.cleanup = runtime.AddCleanup(m, unmap, b) // of blocks whose holders forget to release them
	}
	return m, nil
}

// Of returns a block that is b, which is somebody else's and stays theirs.
func Of(b []byte) *Memory {
	m := &Memory{b: b}
	m.holders.Store(1)
	return m
}

// Huge is the size of a huge page of most processors. Blocks below it come from the Go heap.
const Huge = 2 << 20

// Bytes returns the memory. Touching it after the last Release may crash the process.
func (m *Memory) Bytes() []byte { return m.b }

// Hold adds a holder. The caller knows of one that has not released m yet.
func (m *Memory) Hold() { m.holders.Add(1) }

// Release takes one holder away; the last one's call gives the memory back to the system.
func (m *Memory) Release() {
	if m.holders.Add(-1) > 0 {
		return
	}
	b := m.b
	m.b = nil
	if m.mapped {
		m.cleanup.Stop()
		unmap(b)
	}
}
