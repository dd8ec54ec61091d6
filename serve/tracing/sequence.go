package tracing

import (
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/hipengine/hipengine/engine"
)

// Sequence returns an observer that makes parts of a request's time of a sequence's stations: queue, prefill and
// decode. It passes on what happens to next.
func (s *Span) Sequence(choice int, next engine.Observer) engine.Observer {
	if s == nil {
		return next
	}
	return &sequence{span: s, next: next, choice: choice, queued: time.Now()}
}

// sequence notes when a sequence came where. The engine's goroutine alone uses it.
type sequence struct {
	span   *Span
	next   engine.Observer
	choice int
	drawn  int

	queued, started, first, last time.Time
}

// Started implements engine.Observer.
func (s *sequence) Started() {
	s.started = time.Now()
	s.next.Started()
}

// Drew implements engine.Observer.
func (s *sequence) Drew() {
	s.last = time.Now()
	if s.drawn++; s.drawn == 1 {
		s.first = s.last
	}
	s.next.Drew()
}

// Ended implements engine.Observer.
func (s *sequence) Ended() {
	now := time.Now()
	or := func(t time.Time) time.Time {
		if t.IsZero() {
			return now
		}
		return t
	}
	choice := attribute.Int("hipengine.choice", s.choice)
	s.span.Part("queue", s.queued, or(s.started), choice)
	if !s.started.IsZero() {
		s.span.Part("prefill", s.started, or(s.first), choice)
	}
	if s.drawn > 0 {
		s.span.Part("decode", s.first, s.last, choice, attribute.Int("gen_ai.usage.output_tokens", s.drawn))
	}
	s.next.Ended()
}
