package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
)

// Model is a loaded model as a scrape sees it.
type Model struct {
	Name   string
	Stats  engine.Stats
	Limits runner.Limits
}

// engines reads what the engines count.
type engines struct{ models func() []Model }

// value is a metric that is read from an engine.
type value struct {
	descs []*prometheus.Desc // own name, then aliases
	kind  prometheus.ValueType
	of    func(m Model) float64
}

func read(kind prometheus.ValueType, of func(Model) float64, help string, names ...string) value {
	v := value{kind: kind, of: of}
	for _, name := range names {
		v.descs = append(v.descs, prometheus.NewDesc(name, help, []string{modelLabel}, nil))
	}
	return v
}

func gauge(of func(Model) int, help string, names ...string) value {
	return read(prometheus.GaugeValue, func(m Model) float64 { return float64(of(m)) }, help, names...)
}

func counter(of func(engine.Stats) uint64, help string, names ...string) value {
	return read(prometheus.CounterValue, func(m Model) float64 { return float64(of(m.Stats)) }, help, names...)
}

var values = []value{
	gauge(func(m Model) int { return m.Stats.Running }, "Sequences that have a slot.",
		"hipengine_requests_running", "vllm:num_requests_running"),
	gauge(func(m Model) int { return m.Stats.Waiting }, "Sequences that wait for a slot.",
		"hipengine_requests_waiting", "vllm:num_requests_waiting"),
	gauge(func(m Model) int { return m.Limits.Seqs }, "Slots: sequences that can run at once.", "hipengine_slots"),
	gauge(func(m Model) int { return m.Limits.Context }, "Most tokens of a sequence.", "hipengine_context_tokens"),
	gauge(func(m Model) int { return m.Stats.HeldTokens }, "Tokens in the KV cache of running sequences.", "hipengine_kv_cache_tokens"),
	read(prometheus.GaugeValue, kvUsage, "Share of the KV cache that running sequences fill, from 0 to 1.",
		"hipengine_kv_cache_usage_ratio", "vllm:kv_cache_usage_perc"),
	counter(func(s engine.Stats) uint64 { return s.PromptTokens }, "Tokens of prompts that were computed.",
		"hipengine_prompt_tokens_total", "vllm:prompt_tokens_total"),
	counter(func(s engine.Stats) uint64 { return s.CachedTokens }, "Tokens of prompts that were not computed, because their state was kept.",
		"hipengine_cached_tokens_total", "vllm:prefix_cache_hits_total"),
	counter(func(s engine.Stats) uint64 { return s.PromptTokens + s.CachedTokens }, "Tokens of prompts, computed or cached.",
		"hipengine_cache_queried_tokens_total", "vllm:prefix_cache_queries_total"),
	counter(func(s engine.Stats) uint64 { return s.GeneratedTokens }, "Tokens that were drawn.",
		"hipengine_generation_tokens_total", "vllm:generation_tokens_total"),
	counter(func(s engine.Stats) uint64 { return s.Steps }, "Steps of the model.", "hipengine_steps_total"),
	counter(func(s engine.Stats) uint64 { return s.StepTokens }, "Tokens of all steps.", "hipengine_step_tokens_total"),
	counter(func(s engine.Stats) uint64 { return s.Rejected }, "Requests that were refused because the queue was full.",
		"hipengine_requests_rejected_total"),
	counter(func(s engine.Stats) uint64 { return s.Preempted }, "Times that a sequence made room for others and went on later.",
		"hipengine_preemptions_total", "vllm:num_preemptions_total"),
}

// kvTokens returns how many tokens the cache has room for.
func kvTokens(m Model) int {
	if m.Limits.KVTokens > 0 {
		return m.Limits.KVTokens
	}
	return m.Limits.Seqs * m.Limits.Context
}

// kvUsage returns the filled share of the cache. Sequences may share what they hold.
func kvUsage(m Model) float64 {
	return min(1, float64(m.Stats.HeldTokens)/float64(kvTokens(m)))
}

// reasons are why sequences end, in vLLM's words.
var reasons = []struct {
	name string
	of   func(engine.Stats) uint64
}{
	{"stop", func(s engine.Stats) uint64 { return s.Stopped }},
	{"length", func(s engine.Stats) uint64 { return s.Length }},
	{"abort", func(s engine.Stats) uint64 { return s.Cancelled }},
	{"error", func(s engine.Stats) uint64 { return s.Failed }},
}

var (
	finished = prometheus.NewDesc("hipengine_requests_finished_total", "Sequences that ended, by reason: stop, length, abort or error.",
		[]string{modelLabel, "finished_reason"}, nil)
	success = prometheus.NewDesc("vllm:request_success_total", "The same as the server's metric of its own name.",
		[]string{modelLabel, "finished_reason"}, nil)
	cacheInfo = []*prometheus.Desc{
		prometheus.NewDesc("hipengine_cache_config_info", "The size of the KV cache: pages and tokens of a page; always 1.",
			[]string{modelLabel, "block_size", "num_gpu_blocks"}, nil),
		prometheus.NewDesc("vllm:cache_config_info", "The same as the server's metric of its own name.",
			[]string{modelLabel, "block_size", "num_gpu_blocks"}, nil),
	}
)

// Describe implements prometheus.Collector.
func (engines) Describe(ch chan<- *prometheus.Desc) {
	for _, v := range values {
		for _, d := range v.descs {
			ch <- d
		}
	}
	ch <- finished
	ch <- success
	for _, d := range cacheInfo {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (e engines) Collect(ch chan<- prometheus.Metric) {
	for _, m := range e.models() {
		for _, v := range values {
			for _, d := range v.descs {
				ch <- prometheus.MustNewConstMetric(d, v.kind, v.of(m), m.Name)
			}
		}
		for _, r := range reasons {
			n := float64(r.of(m.Stats))
			ch <- prometheus.MustNewConstMetric(finished, prometheus.CounterValue, n, m.Name, r.name)
			ch <- prometheus.MustNewConstMetric(success, prometheus.CounterValue, n, m.Name, r.name)
		}
		pages := (kvTokens(m) + runner.PageSize - 1) / runner.PageSize
		for _, d := range cacheInfo {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, 1, m.Name, strconv.Itoa(runner.PageSize), strconv.Itoa(pages))
		}
	}
}
