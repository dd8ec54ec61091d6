package serve

import (
	"sync"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/serve/openai"
)

// stopwatch takes the times of a sequence, and passes on what happens to it. The engine's goroutine writes, those of
// requests read.
type stopwatch struct {
	next   engine.Observer
	total  int           // tokens of the prompt
	notify chan struct{} // of capacity 1: there is progress; nil if nobody asks

	mu                   sync.Mutex
	started, first, last time.Time
	cached, read         int // tokens of the prompt
	drawn                int
	progress             []openai.PromptProgress // that nobody has taken yet, if anybody asks
}

// Started implements engine.Observer.
func (s *stopwatch) Started() {
	s.mu.Lock()
	s.started = time.Now()
	s.mu.Unlock()
	s.next.Started()
}

// Read implements engine.PromptObserver.
func (s *stopwatch) Read(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := openai.PromptProgress{Total: s.total, Processed: n}
	if s.read == 0 {
		s.cached = n
	} else {
		p.TimeMS = time.Since(s.started).Milliseconds()
	}
	p.Cache, s.read = s.cached, n
	if s.last = time.Now(); s.notify != nil {
		s.progress = append(s.progress, p)
		select {
		case s.notify <- struct{}{}:
		default:
		}
	}
}

// Drew implements engine.Observer.
func (s *stopwatch) Drew() {
	s.mu.Lock()
	s.last = time.Now()
	if s.drawn++; s.drawn == 1 {
		s.first = s.last
	}
	s.mu.Unlock()
	s.next.Drew()
}

// Ended implements engine.Observer.
func (s *stopwatch) Ended() { s.next.Ended() }

// takeProgress returns what was not taken yet.
func (s *stopwatch) takeProgress() []openai.PromptProgress {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.progress
	s.progress = nil
	return list
}

// timings returns what is known by now, for an answer of n tokens so far: more may be drawn.
func (s *stopwatch) timings(n int) *openai.Timings {
	s.mu.Lock()
	defer s.mu.Unlock()
	const least = 1e-3 // of what took any time, so that nothing is divided by zero
	t := &openai.Timings{CacheN: s.cached, PromptN: max(s.read-s.cached, 0), PredictedN: n}
	end := s.first // of the prompt
	if s.drawn == 0 {
		end = s.last
	}
	if t.PromptN > 0 {
		t.PromptMS = max(milliseconds(end.Sub(s.started)), least)
		t.PromptPerTokenMS = t.PromptMS / float64(t.PromptN)
		t.PromptPerSecond = 1e3 / t.PromptMS * float64(t.PromptN)
	}
	if n > 0 && s.drawn > 0 {
		t.PredictedMS = max(milliseconds(s.last.Sub(s.first)), least)
	}
	if n > 1 {
		t.PredictedPerTokenMS = t.PredictedMS / float64(n-1)
		t.PredictedPerSecond = 1e3 / t.PredictedMS * float64(n-1)
	}
	return t
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
