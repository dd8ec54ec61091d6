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
	progress             []promptProgress // that nobody has taken yet, if anybody asks
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
	s.last = time.Now()
	if s.read == 0 {
		s.cached, s.started = n, s.last // the time that it took to find it is the queue's
	}
	s.read = n
	if s.notify != nil {
		s.progress = append(s.progress, promptProgress{s.total, s.cached, n, s.last.Sub(s.started)})
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
func (s *stopwatch) takeProgress() []promptProgress {
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
	t := &openai.Timings{CacheN: s.cached, PromptN: max(s.read-s.cached, 0), PredictedN: n}
	end := s.first // of the prompt
	if s.drawn == 0 {
		end = s.last
	}
	promptTimings(t, end.Sub(s.started))
	if n > 0 && s.drawn > 0 {
		t.PredictedMS = milliseconds(s.last.Sub(s.first))
	}
	if n > 1 {
		t.PredictedPerTokenMS = t.PredictedMS / float64(n-1)
		t.PredictedPerSecond = 1e3 / t.PredictedMS * float64(n-1)
	}
	return t
}

// promptTimings sets the times of a prompt of which t says how many tokens were read.
func promptTimings(t *openai.Timings, took time.Duration) {
	if t.PromptN > 0 {
		t.PromptMS = milliseconds(took)
		t.PromptPerTokenMS = t.PromptMS / float64(t.PromptN)
		t.PromptPerSecond = 1e3 / t.PromptMS * float64(t.PromptN)
	}
}

// milliseconds of what took any time, a microsecond at least, so that nothing is divided by zero.
func milliseconds(d time.Duration) float64 {
	return float64(max(d, time.Microsecond)) / float64(time.Millisecond)
}

// promptProgress is how far a prompt was.
type promptProgress struct {
	total, cached, read int // tokens
	took                time.Duration
}

func (p promptProgress) wire() *openai.PromptProgress {
	return &openai.PromptProgress{Total: p.total, Cache: p.cached, Processed: p.read, TimeMS: p.took.Milliseconds()}
}

func (p promptProgress) timings() *openai.Timings {
	t := &openai.Timings{CacheN: p.cached, PromptN: p.read - p.cached}
	promptTimings(t, p.took)
	return t
}
