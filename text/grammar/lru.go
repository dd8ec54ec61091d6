package grammar

import (
	"container/list"
	"sync"
)

// lru keeps values up to a number of bytes, and drops those that were used longest ago.
type lru struct {
	mu    sync.Mutex
	most  int64
	bytes int64
	order *list.List // of *entry, the last used first
	index map[any]*list.Element
}

type entry struct {
	key, value any
	bytes      int64
}

func newLRU(most int64) *lru {
	return &lru{most: most, order: list.New(), index: map[any]*list.Element{}}
}

// get returns the value of a key, or nil.
func (c *lru) get(key any) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.index[key]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*entry).value
}

// put keeps a value if there can be room for it.
func (c *lru) put(key, value any, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes > c.most || c.index[key] != nil {
		return
	}
	c.index[key] = c.order.PushFront(&entry{key, value, bytes})
	for c.bytes += bytes; c.bytes > c.most; {
		last := c.order.Back()
		e := c.order.Remove(last).(*entry)
		delete(c.index, e.key)
		c.bytes -= e.bytes
	}
}
