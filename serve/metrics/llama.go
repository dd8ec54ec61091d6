package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/pool"
)

// llamaNames offers what engines count under the names that llama.cpp's server has, which has one model and so no
// labels: the sum over all models.
type llamaNames struct{ models func() []pool.Status }

// llamaValue is a metric of llama.cpp's server.
type llamaValue struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(s engine.Stats) float64
}

func llamaMetric(name, help string, kind prometheus.ValueType, of func(s engine.Stats) float64) llamaValue {
	return llamaValue{prometheus.NewDesc("llamacpp:"+name, help, nil, nil), kind, of}
}

var llamaValues = []llamaValue{
	llamaMetric("prompt_tokens_total", "Tokens of prompts that were computed.", prometheus.CounterValue,
		func(s engine.Stats) float64 { return float64(s.PromptTokens) }),
	llamaMetric("prompt_tokens_cached_total",
		"Tokens of prompts that were not computed, because their state was kept.",
		prometheus.CounterValue, func(s engine.Stats) float64 { return float64(s.CachedTokens) }),
	llamaMetric("tokens_predicted_total", "Tokens that were drawn.", prometheus.CounterValue,
		func(s engine.Stats) float64 { return float64(s.GeneratedTokens) }),
	llamaMetric("n_decode_total", "Steps of the models.", prometheus.CounterValue,
		func(s engine.Stats) float64 { return float64(s.Steps) }),
	llamaMetric("requests_processing", "Sequences that have a slot.", prometheus.GaugeValue,
		func(s engine.Stats) float64 { return float64(s.Running) }),
	llamaMetric("requests_deferred", "Sequences that wait for a slot.", prometheus.GaugeValue,
		func(s engine.Stats) float64 { return float64(s.Waiting) }),
}

// Describe implements prometheus.Collector.
func (llamaNames) Describe(ch chan<- *prometheus.Desc) {
	for _, v := range llamaValues {
		ch <- v.desc
	}
}

// Collect implements prometheus.Collector.
func (l llamaNames) Collect(ch chan<- prometheus.Metric) {
	models := l.models()
	for _, v := range llamaValues {
		sum := 0.0
		for _, m := range models {
			sum += v.of(m.Stats)
		}
		ch <- prometheus.MustNewConstMetric(v.desc, v.kind, sum)
	}
}
