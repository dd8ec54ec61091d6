package metrics

import (
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/prometheus/client_golang/prometheus"
)

// Sequence returns an observer of one sequence of a model. arrived is when its request did; the sequence waits in the
// queue from now on.
func (m *Metrics) Sequence(model string, arrived time.Time) engine.Observer {
	return &sequence{
		arrived: arrived, queued: time.Now(), pace: &m.pace,
		queue: m.queue.WithLabelValues(model), prefill: m.prefill.WithLabelValues(model),
		decode: m.decode.WithLabelValues(model),
		first:  m.first.WithLabelValues(model), between: m.between.WithLabelValues(model),
		whole: m.whole.WithLabelValues(model),
	}
}

// sequence measures the stations of a sequence. The engine's goroutine alone uses it.
type sequence struct {
	arrived, queued, started, began, last time.Time

	pace *pace

	queue, prefill, decode, first, between, whole prometheus.Observer
}

// Started implements engine.Observer.
func (s *sequence) Started() {
	s.started = time.Now()
	s.queue.Observe(s.started.Sub(s.queued).Seconds())
}

// Drew implements engine.Observer.
func (s *sequence) Drew() {
	now := time.Now()
	if s.began.IsZero() {
		s.began = now
		s.first.Observe(now.Sub(s.arrived).Seconds())
		s.prefill.Observe(now.Sub(s.started).Seconds())
		s.pace.began(now.Sub(s.started))
	} else {
		s.between.Observe(now.Sub(s.last).Seconds())
		s.pace.drew(now.Sub(s.last))
	}
	s.last = now
}

// Ended implements engine.Observer.
func (s *sequence) Ended() {
	s.whole.Observe(time.Since(s.arrived).Seconds())
	if !s.began.IsZero() {
		s.decode.Observe(s.last.Sub(s.began).Seconds())
	}
}
