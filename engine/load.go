package engine

import (
	"io"
	"time"

	"github.com/hipengine/hipengine/engine/runner"
)

// lastWrites is how long the end of an engine may take to bring its states to the disk.
const lastWrites = 10 * time.Second

// stored is what the disk had for a sequence.
type stored struct {
	state *runner.Snapshot
	n     int // tokens of the prompt that need not be read; 0 if there is nothing
}

// onDisk is a snapshot as a disk.State.
type onDisk struct{ *runner.Snapshot }

// Bytes returns what WriteTo writes.
func (s onDisk) Bytes() int64 { return s.FileBytes() }

// startLoads lets sequences that wait, and for which the disk has more than memory, leave the queue until it is read.
func (e *Engine) startLoads() {
	if e.reuse == nil || e.reuse.disk == nil {
		return
	}
	for i, s := range e.queued() {
		if i >= e.limits.Seqs { // its turn is far
			return
		}
		if s.stored != nil || s.req.PromptLogprobs {
			continue
		}
		ids := s.req.Prompt[:len(s.req.Prompt)-1]
		if n := e.reuse.disk.Find(s.req.Space, ids); n < leastReuse || n <= e.lookup(s).n {
			s.stored = &stored{} // also if memory lost it until it is admitted: then it is read
			continue
		}
		e.mu.Lock()
		e.waiting, e.loading = remove(e.waiting, s), append(e.loading, s)
		e.mu.Unlock()
		e.loads.Go(func() { e.load(s, ids) })
	}
}

// load reads the state of a sequence, and lets it wait again, first of all.
func (e *Engine) load(s *Sequence, ids []int32) {
	found := &stored{}
	found.n = e.reuse.disk.Load(s.req.Space, ids, func(r io.Reader, bytes int64) (err error) {
		found.state, err = runner.ReadSnapshot(r, bytes)
		return err
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	before := len(e.loading)
	if e.loading = remove(e.loading, s); len(e.loading) < before { // else it ended meanwhile
		s.stored = found
		e.waiting = append([]*Sequence{s}, e.waiting...)
	}
	e.signal()
}
