package serve

import (
	"bytes"
	"container/list"
	"sync"

	"github.com/hipengine/hipengine/serve/openai"
)

// storedResponses keeps responses for later requests of the same API key, as many as their bytes allow. Those that
// were used least recently go first.
type storedResponses struct {
	mu     sync.Mutex
	budget int64
	bytes  int64
	recent *list.List // of *storedResponse, the last used first
	byKey  map[storedKey]*list.Element
}

type storedKey struct{ space, id string }

// storedResponse is a response and the items that it was made of, earlier responses included.
type storedResponse struct {
	key      storedKey
	response openai.Response
	input    []openai.ResponseItem
	bytes    int64
}

// items returns the conversation up to the response and with it.
func (r *storedResponse) items() []openai.ResponseItem {
	return append(r.input[:len(r.input):len(r.input)], r.response.Output...)
}

func newStoredResponses(budget int64) *storedResponses {
	return &storedResponses{budget: budget, recent: list.New(), byKey: make(map[storedKey]*list.Element)}
}

// add keeps a response, and reports whether there is room for it at all. What it points to must not change any more.
func (s *storedResponses) add(space string, response openai.Response, input []openai.ResponseItem) bool {
	r := &storedResponse{key: storedKey{space, response.ID}, response: response, input: input}
	var text bytes.Buffer
	encode(&text, response)
	encode(&text, input)
	r.bytes = int64(text.Len())
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.bytes > s.budget {
		return false
	}
	s.byKey[r.key] = s.recent.PushFront(r)
	for s.bytes += r.bytes; s.bytes > s.budget; {
		s.drop(s.recent.Back())
	}
	return true
}

// drop forgets a response. s.mu is held.
func (s *storedResponses) drop(e *list.Element) {
	r := s.recent.Remove(e).(*storedResponse)
	delete(s.byKey, r.key)
	s.bytes -= r.bytes
}

// get returns a response, or nil.
func (s *storedResponses) get(space, id string) *storedResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byKey[storedKey{space, id}]
	if e == nil {
		return nil
	}
	s.recent.MoveToFront(e)
	return e.Value.(*storedResponse)
}

// remove forgets a response and reports whether it was there.
func (s *storedResponses) remove(space, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byKey[storedKey{space, id}]
	if e != nil {
		s.drop(e)
	}
	return e != nil
}

// item returns an item of a response by its id, or nil.
func (s *storedResponses) item(space, id string) openai.ResponseItem {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.recent.Front(); e != nil; e = e.Next() {
		r := e.Value.(*storedResponse)
		if r.key.space != space {
			continue
		}
		for _, item := range r.items() {
			if item.ItemID() == id {
				return item
			}
		}
	}
	return nil
}
