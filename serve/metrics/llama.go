package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/pool"
)

// llamaNames offers what engines count under the names that llama.cpp's server has, which has one model and so no
// labels: the sum over all models.
type llamaNames struct {
	models func() []pool.Status
	pace   *pace
}

// llamaValue is a metric of llama.cpp's server.
type llamaValue struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(s engine.Stats, p paces) float64
}

func llamaMetric(name, help string, kind prometheus.ValueType, of func(s engine.Stats, p paces) float64) llamaValue {
	return llamaValue{prometheus.NewDesc("llamacpp:"+name, help, nil, nil), kind, of}
}

var llamaValues = []llamaValue{
	llamaMetric("prompt_tokens_total", "Tokens of prompts that were computed.", prometheus.CounterValue,
		func(s engine.Stats, _ paces) float64 { return float64(s.PromptTokens) }),
	llamaMetric("prompt_tokens_cached_total",
		"Tokens of prompts that were not computed, because their state was kept.",
		prometheus.CounterValue, func(s engine.Stats, _ paces) float64 { return float64(s.CachedTokens) }),
	llamaMetric("prompt_seconds_total", "Time from slots to first tokens, of all sequences.", prometheus.CounterValue,
		func(_ engine.Stats, p paces) float64 { return p.prefill.Seconds() }),
	llamaMetric("tokens_predicted_total", "Tokens that were drawn.", prometheus.CounterValue,
		func(s engine.Stats, _ paces) float64 { return float64(s.GeneratedTokens) }),
	llamaMetric("tokens_predicted_seconds_total", "Time from first tokens to last ones, of all sequences.",
		prometheus.CounterValue, func(_ engine.Stats, p paces) float64 { return p.decode.Seconds() }),
	llamaMetric("n_decode_total", "Steps of the models.", prometheus.CounterValue,
		func(s engine.Stats, _ paces) float64 { return float64(s.Steps) }),
	llamaMetric("n_busy_slots_per_decode", "Sequences of a step, in the mean.", prometheus.GaugeValue,
		func(s engine.Stats, _ paces) float64 { return float64(s.StepSequences) / float64(max(s.Steps, 1)) }),
	llamaMetric("n_tokens_max", "Tokens that one sequence has held, at most.", prometheus.CounterValue,
		func(s engine.Stats, _ paces) float64 { return float64(s.Longest) }),
	llamaMetric("prompt_tokens_seconds", "Tokens of prompts a second, since the last scrape.", prometheus.GaugeValue,
		func(s engine.Stats, p paces) float64 {
			return rate(s.PromptTokens-min(p.promptBefore, s.PromptTokens), p.prefill-p.prefillBefore)
		}),
	llamaMetric("predicted_tokens_seconds", "Tokens drawn a second behind the first of a sequence, since the last scrape.",
		prometheus.GaugeValue,
		func(_ engine.Stats, p paces) float64 { return rate(p.drawn-p.drawnBefore, p.decode-p.decodeBefore) }),
	llamaMetric("requests_processing", "Sequences that have a slot.", prometheus.GaugeValue,
		func(s engine.Stats, _ paces) float64 { return float64(s.Running) }),
	llamaMetric("requests_deferred", "Sequences that wait for a slot.", prometheus.GaugeValue,
		func(s engine.Stats, _ paces) float64 { return float64(s.Waiting) }),
	llamaMetric("spec_decode_num_draft_tokens_total", "Tokens that were guessed.", prometheus.CounterValue,
		func(s engine.Stats, _ paces) float64 { return float64(s.DraftedTokens) }),
	llamaMetric("spec_decode_num_accepted_tokens_total", "Tokens that were guessed and drawn.",
		prometheus.CounterValue, func(s engine.Stats, _ paces) float64 { return float64(s.AcceptedTokens) }),
	llamaMetric("spec_decode_num_drafts_total", "Times that tokens were guessed for a sequence.",
		prometheus.CounterValue, func(s engine.Stats, _ paces) float64 { return float64(s.Drafts) }),
}

// rate is so many a second; 0 where there are none.
func rate(n uint64, took time.Duration) float64 {
	if n == 0 || took <= 0 {
		return 0
	}
	return float64(n) / took.Seconds()
}

// paces are the times of all sequences, and what they and their tokens were at the last scrape.
type paces struct {
	prefill, decode             time.Duration
	drawn                       uint64 // tokens behind the first ones
	prefillBefore, decodeBefore time.Duration
	promptBefore, drawnBefore   uint64
}

// pace adds up paces. Its methods may be called from any goroutine.
type pace struct {
	mu sync.Mutex
	p  paces
}

// began counts the time of a prompt.
func (p *pace) began(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.p.prefill += took
}

// drew counts a token behind the first.
func (p *pace) drew(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.p.decode += took
	p.p.drawn++
}

// scrape returns the paces. The next scrape's are since this one, at which prompts had so many tokens.
func (p *pace) scrape(prompt uint64) paces {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.p
	p.p.prefillBefore, p.p.decodeBefore, p.p.promptBefore, p.p.drawnBefore = now.prefill, now.decode, prompt, now.drawn
	return now
}

// Describe implements prometheus.Collector.
func (llamaNames) Describe(ch chan<- *prometheus.Desc) {
	for _, v := range llamaValues {
		ch <- v.desc
	}
}

// Collect implements prometheus.Collector.
func (l llamaNames) Collect(ch chan<- prometheus.Metric) {
	var sum engine.Stats
	running, waiting := 0, 0
	for _, m := range l.models() {
		sum = sum.Add(m.Stats)
		running, waiting = running+m.Stats.Running, waiting+m.Stats.Waiting
	}
	sum.Running, sum.Waiting = running, waiting // which Add leaves out
	p := l.pace.scrape(sum.PromptTokens)
	for _, v := range llamaValues {
		ch <- prometheus.MustNewConstMetric(v.desc, v.kind, v.of(sum, p))
	}
}
