package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/pool"
	"github.com/hipengine/hipengine/engine/runner"
)

// engines reads what pools and engines count.
type engines struct{ models func() []pool.Status }

// value is a metric that is read from an engine.
type value struct {
	descs []*prometheus.Desc // own name, then aliases
	kind  prometheus.ValueType
	of    func(m pool.Status) float64
}

func read(kind prometheus.ValueType, of func(pool.Status) float64, help string, names ...string) value {
	v := value{kind: kind, of: of}
	for _, name := range names {
		v.descs = append(v.descs, prometheus.NewDesc(name, help, []string{modelLabel}, nil))
	}
	return v
}

func gauge(of func(pool.Status) int, help string, names ...string) value {
	return read(prometheus.GaugeValue, func(m pool.Status) float64 { return float64(of(m)) }, help, names...)
}

func counter(of func(engine.Stats) uint64, help string, names ...string) value {
	return read(prometheus.CounterValue, func(m pool.Status) float64 { return float64(of(m.Stats)) }, help, names...)
}

var values = []value{
	gauge(func(m pool.Status) int { return m.Stats.Running }, "Sequences that have a slot.",
		"hipengine_requests_running", "vllm:num_requests_running"),
	gauge(func(m pool.Status) int { return m.Stats.Waiting + m.Waiting },
		"Sequences that wait for a slot, and requests that wait for the model to be loaded.",
		"hipengine_requests_waiting", "vllm:num_requests_waiting"),
	gauge(func(m pool.Status) int { return m.Limits.Seqs }, "Slots: sequences that can run at once.",
		"hipengine_slots"),
	gauge(func(m pool.Status) int { return m.Limits.Context }, "Most tokens of a sequence.",
		"hipengine_context_tokens"),
	gauge(func(m pool.Status) int { return m.Stats.HeldTokens }, "Tokens in the KV cache of running sequences.",
		"hipengine_kv_cache_tokens"),
	read(prometheus.GaugeValue, kvUsage, "Share of the KV cache that running sequences fill, from 0 to 1.",
		"hipengine_kv_cache_usage_ratio", "vllm:kv_cache_usage_perc"),
	counter(func(s engine.Stats) uint64 { return s.PromptTokens }, "Tokens of prompts that were computed.",
		"hipengine_prompt_tokens_total", "vllm:prompt_tokens_total"),
	counter(func(s engine.Stats) uint64 { return s.CachedTokens },
		"Tokens of prompts that were not computed, because their state was kept.",
		"hipengine_cached_tokens_total", "vllm:prefix_cache_hits_total"),
	counter(func(s engine.Stats) uint64 { return s.PromptTokens + s.CachedTokens },
		"Tokens of prompts, computed or cached.",
		"hipengine_cache_queried_tokens_total", "vllm:prefix_cache_queries_total"),
	counter(func(s engine.Stats) uint64 { return s.GeneratedTokens }, "Tokens that were drawn.",
		"hipengine_generation_tokens_total", "vllm:generation_tokens_total"),
	counter(func(s engine.Stats) uint64 { return s.Steps }, "Steps of the model.", "hipengine_steps_total"),
	counter(func(s engine.Stats) uint64 { return s.StepTokens }, "Tokens of all steps.",
		"hipengine_step_tokens_total"),
	counter(func(s engine.Stats) uint64 { return s.Rejected },
		"Requests that were refused because the queue was full.",
		"hipengine_requests_rejected_total"),
	counter(func(s engine.Stats) uint64 { return s.Embedded }, "Prompts that were read for an embedding or a score.",
		"hipengine_prompts_embedded_total"),
	counter(func(s engine.Stats) uint64 { return s.Preempted },
		"Times that a sequence made room for others and went on later.",
		"hipengine_preemptions_total", "vllm:num_preemptions_total"),
	counter(func(s engine.Stats) uint64 { return s.Drafts }, "Times that tokens were guessed for a sequence.",
		"hipengine_spec_drafts_total", "vllm:spec_decode_num_drafts_total"),
	counter(func(s engine.Stats) uint64 { return s.DraftedTokens }, "Tokens that were guessed.",
		"hipengine_spec_draft_tokens_total", "vllm:spec_decode_num_draft_tokens_total"),
	counter(func(s engine.Stats) uint64 { return s.AcceptedTokens }, "Tokens that were guessed and drawn.",
		"hipengine_spec_accepted_tokens_total", "vllm:spec_decode_num_accepted_tokens_total"),
	counter(func(s engine.Stats) uint64 { return s.ExpertChoices },
		"Experts that tokens chose, of models some of whose experts have copies on a faster device.",
		"hipengine_expert_choices_total"),
	counter(func(s engine.Stats) uint64 { return s.ExpertHits }, "Chosen experts that had a copy there.",
		"hipengine_expert_cache_hits_total"),
	counter(func(s engine.Stats) uint64 { return s.ExpertsMoved }, "Copies of experts that were made.",
		"hipengine_expert_cache_moves_total"),
	gauge(func(m pool.Status) int { return m.Stats.LastDepth },
		"Most tokens that were guessed for one sequence in the last step of sequences that all decode.",
		"hipengine_spec_depth"),
}

// kvTokens returns how many tokens the cache has room for.
func kvTokens(m pool.Status) int {
	if m.Limits.KVTokens > 0 {
		return m.Limits.KVTokens
	}
	return m.Limits.Seqs * m.Limits.Context
}

// kvUsage returns the filled share of the cache. Sequences may share what they hold.
func kvUsage(m pool.Status) float64 {
	if m.Limits.Seqs == 0 { // it is not loaded
		return 0
	}
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
	finished = prometheus.NewDesc("hipengine_requests_finished_total",
		"Sequences that ended, by reason: stop, length, abort or error.",
		[]string{modelLabel, "finished_reason"}, nil)
	success = prometheus.NewDesc("vllm:request_success_total", "The same as the server's metric of its own name.",
		[]string{modelLabel, "finished_reason"}, nil)
	cacheInfo = []*prometheus.Desc{
		prometheus.NewDesc("hipengine_cache_config_info",
			"The size of the KV cache: pages and tokens of a page; always 1.",
			[]string{modelLabel, "block_size", "num_gpu_blocks"}, nil),
		prometheus.NewDesc("vllm:cache_config_info", "The same as the server's metric of its own name.",
			[]string{modelLabel, "block_size", "num_gpu_blocks"}, nil),
	}
)

// What a pool does with its models.
var (
	loaded = prometheus.NewDesc("hipengine_model_loaded", "1 if the model is loaded, 0 if it would have to be.",
		[]string{modelLabel}, nil)
	loads = prometheus.NewDesc("hipengine_model_loads_total", "How often the model was loaded.", []string{modelLabel},
		nil)
	failed = prometheus.NewDesc("hipengine_model_load_failures_total", "How often loading the model failed.",
		[]string{modelLabel}, nil)
	spent = prometheus.NewDesc("hipengine_model_load_seconds_total", "Time that loading the model took in all.",
		[]string{modelLabel}, nil)
	memory = prometheus.NewDesc("hipengine_model_memory_bytes", "Memory of the device that is promised to the model.",
		[]string{modelLabel}, nil)
	went = prometheus.NewDesc("hipengine_model_unloads_total",
		"How often the model was unloaded, by reason: room, idle or asked.",
		[]string{modelLabel, "reason"}, nil)
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
	for _, d := range []*prometheus.Desc{loaded, loads, failed, spent, memory, went} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (e engines) Collect(ch chan<- prometheus.Metric) {
	for _, m := range e.models() {
		const count, gauge = prometheus.CounterValue, prometheus.GaugeValue
		is := 0.0
		if m.State == pool.Loaded {
			is = 1
		}
		ch <- prometheus.MustNewConstMetric(loaded, gauge, is, m.ID)
		if m.State == pool.Unloaded && m.Loads+m.Failures == 0 {
			continue // a folder may hold many that nobody asks for
		}
		ch <- prometheus.MustNewConstMetric(loads, count, float64(m.Loads), m.ID)
		ch <- prometheus.MustNewConstMetric(failed, count, float64(m.Failures), m.ID)
		ch <- prometheus.MustNewConstMetric(spent, count, m.LoadTime.Seconds(), m.ID)
		ch <- prometheus.MustNewConstMetric(memory, gauge, float64(m.Bytes), m.ID)
		for r, n := range m.Unloads {
			ch <- prometheus.MustNewConstMetric(went, count, float64(n), m.ID, pool.Reason(r).String())
		}
		for _, v := range values {
			for _, d := range v.descs {
				ch <- prometheus.MustNewConstMetric(d, v.kind, v.of(m), m.ID)
			}
		}
		for _, r := range reasons {
			n := float64(r.of(m.Stats))
			ch <- prometheus.MustNewConstMetric(finished, prometheus.CounterValue, n, m.ID, r.name)
			ch <- prometheus.MustNewConstMetric(success, prometheus.CounterValue, n, m.ID, r.name)
		}
		if m.Limits.Seqs == 0 {
			continue
		}
		pages := (kvTokens(m) + runner.PageSize - 1) / runner.PageSize
		for _, d := range cacheInfo {
			ch <- prometheus.MustNewConstMetric(d, gauge, 1, m.ID, strconv.Itoa(runner.PageSize), strconv.Itoa(pages))
		}
	}
}
