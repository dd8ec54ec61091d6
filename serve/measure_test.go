package serve

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/fake"
)

// scrape returns the values of all metrics, by name and labels in the order of their names: counts of histograms under
// the name with _count, sums with _sum.
func (s *site) scrape(t *testing.T) map[string]float64 {
	t.Helper()
	status, h, body := s.call(t, "GET", "/metrics", "")
	if status != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/plain") {
		t.Fatalf("/metrics: %d %v %s", status, h, body)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
	values := make(map[string]float64)
	for name, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%s", l.GetName(), l.GetValue()))
			}
			suffix := "{" + strings.Join(labels, ",") + "}"
			switch f.GetType() {
			case dto.MetricType_HISTOGRAM:
				values[name+"_count"+suffix] = float64(m.Histogram.GetSampleCount())
				values[name+"_sum"+suffix] = m.Histogram.GetSampleSum()
			case dto.MetricType_COUNTER:
				values[name+suffix] = m.Counter.GetValue()
			default:
				values[name+suffix] = m.Gauge.GetValue()
			}
		}
	}
	return values
}

// TestNoMetrics leaves them out.
func TestNoMetrics(t *testing.T) {
	s := open(t, &fake.Runner{}, func(c *Config) { c.NoMetrics = true })
	if status, _, body := s.call(t, "GET", "/metrics", ""); status != 501 || !strings.Contains(body, "not_supported_error") {
		t.Errorf("%d %s", status, body)
	}
}

// TestMetrics scrapes what a stream, a short completion of two choices, a bad request and an unknown path did.
func TestMetrics(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "abcd"}, func(c *Config) { c.Version = "v1.2.3" })
	s.call(t, "POST", "/v1/chat/completions", hi+`,"stream":true}`)
	s.call(t, "POST", "/v1/completions", `{"prompt":"xyz","n":2,"max_tokens":3}`)
	s.call(t, "POST", "/v1/completions", `{"prompt":7}`)
	s.call(t, "GET", "/some/path/of/the/client", "")
	var got map[string]float64
	wait(t, "the count of the requests", func() bool {
		got = s.scrape(t)
		return got["hipengine_http_requests_total{endpoint=other,status=404}"] == 1
	})
	for name, want := range map[string]float64{
		"hipengine_http_requests_total{endpoint=/v1/chat/completions,status=200}": 1,
		"hipengine_http_requests_total{endpoint=/v1/completions,status=200}":      1,
		"hipengine_http_requests_total{endpoint=/v1/completions,status=400}":      1,
		"hipengine_http_request_seconds_count{endpoint=/v1/completions}":          2,
		"hipengine_requests_finished_total{finished_reason=stop,model_name=fake}": 1, // the stream
		"vllm:request_success_total{finished_reason=length,model_name=fake}":      2, // the choices
		"hipengine_requests_rejected_total{model_name=fake}":                      0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	for name, want := range map[string]float64{
		"llamacpp:prompt_tokens_total{}": 19 + 4, "llamacpp:tokens_predicted_total{}": 5 + 6,
		"llamacpp:prompt_tokens_cached_total{}": 0,
		"llamacpp:requests_processing{}":        0, "llamacpp:requests_deferred{}": 0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	// The chat's sequence held its prompt and all tokens but the last.
	if got["llamacpp:n_tokens_max{}"] != 19+4 {
		t.Errorf("%v tokens at most", got["llamacpp:n_tokens_max{}"])
	}
	if busy := got["llamacpp:n_busy_slots_per_decode{}"]; busy < 1 || busy > 2 {
		t.Errorf("%v sequences of a step", busy)
	}
	again := s.scrape(t)
	for _, c := range []struct{ total, rate string }{
		{"llamacpp:prompt_seconds_total{}", "llamacpp:prompt_tokens_seconds{}"},
		{"llamacpp:tokens_predicted_seconds_total{}", "llamacpp:predicted_tokens_seconds{}"},
	} {
		if got[c.total] <= 0 || again[c.total] != got[c.total] || again[c.rate] != 0 {
			t.Errorf("%s is %v and then %v, %s then %v", c.total, got[c.total], again[c.total], c.rate, again[c.rate])
		}
	}
	if got["llamacpp:n_decode_total{}"] != got["hipengine_steps_total{model_name=fake}"] {
		t.Errorf("%v steps by llama.cpp's name", got["llamacpp:n_decode_total{}"])
	}
	const label = "{model_name=fake}"
	l := s.engine.Limits()
	blocks := fmt.Sprintf("{block_size=%d,model_name=fake,num_gpu_blocks=%d}", runner.PageSize,
		l.Seqs*l.Context/runner.PageSize)
	for _, name := range []string{"hipengine_cache_config_info", "vllm:cache_config_info"} {
		if got[name+blocks] != 1 {
			t.Errorf("%s%s is %v, want 1", name, blocks, got[name+blocks])
		}
	}
	// 19 tokens of the chat's prompt; the completion's BOS and 3, read once for both choices. 4 tokens and an end;
	// twice 3.
	for names, want := range map[[2]string]float64{
		{"hipengine_prompt_tokens_total", "vllm:prompt_tokens_total"}:                             19 + 4,
		{"hipengine_generation_tokens_total", "vllm:generation_tokens_total"}:                     5 + 6,
		{"hipengine_time_to_first_token_seconds_count", "vllm:time_to_first_token_seconds_count"}: 3,
		{"hipengine_inter_token_seconds_count", "vllm:inter_token_latency_seconds_count"}:         4 + 4,
		{"hipengine_request_queue_seconds_count", "vllm:request_queue_time_seconds_count"}:        3,
		{"hipengine_request_prefill_seconds_count", "vllm:request_prefill_time_seconds_count"}:    3,
		{"hipengine_request_decode_seconds_count", "vllm:request_decode_time_seconds_count"}:      3,
		{"hipengine_request_seconds_count", "vllm:e2e_request_latency_seconds_count"}:             3,
		{"hipengine_requests_running", "vllm:num_requests_running"}:                               0,
		{"hipengine_requests_waiting", "vllm:num_requests_waiting"}:                               0,
		{"hipengine_kv_cache_usage_ratio", "vllm:kv_cache_usage_perc"}:                            0,
	} {
		for _, name := range names {
			if v, ok := got[name+label]; !ok || v != want {
				t.Errorf("%s is %v, want %v", name, v, want)
			}
		}
	}
	if a, b := got["hipengine_request_seconds_sum"+label], got["vllm:e2e_request_latency_seconds_sum"+label]; a <= 0 ||
		a != b {
		t.Errorf("the requests took %v s, and %v s by vLLM's name", a, b)
	}
	if status, _, body := s.call(t, "GET", "/metrics", ""); status != 200 ||
		!strings.Contains(body, `version="v1.2.3"`) {
		t.Errorf("%d, no version in %s", status, body)
	}
}

// TestMetricsOfTheCache sends a prompt twice, of which the second time all but a token is cached.
func TestMetricsOfTheCache(t *testing.T) {
	s := open(t, &fake.Runner{Lim: runner.Limits{Rewinds: fake.Anywhere}, Checkpoints: 8, Reply: "ok"}, nil)
	for range 2 {
		s.call(t, "POST", "/v1/completions", `{"prompt":"a text of twenty-two.."}`)
	}
	got := s.scrape(t)
	prompt := 2 * float64(len("a text of twenty-two..")+1)
	hits := got["hipengine_cached_tokens_total{model_name=fake}"]
	if hits < 20 || hits > prompt/2 || got["vllm:prefix_cache_hits_total{model_name=fake}"] != hits ||
		got["vllm:prefix_cache_queries_total{model_name=fake}"] != prompt ||
		got["vllm:prompt_tokens_total{model_name=fake}"] != prompt-hits {
		t.Errorf("%v of %v tokens cached, in %v", hits, prompt, got)
	}
}

// TestMetricsOfTheQueue scrapes while one sequence runs and another waits.
func TestMetricsOfTheQueue(t *testing.T) {
	gate := make(chan struct{})
	r := &fake.Runner{Gate: gate, Reply: "abc"}
	r.Lim.Seqs, r.Lim.Context = 1, 100
	s := open(t, r, nil)
	done := make(chan int, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	post := func() {
		status, _, _ := s.call(t, "POST", "/v1/completions", `{"prompt":"xyz"}`)
		done <- status
	}
	go post()
	wait(t, "the first to run", func() bool { return s.engine.Stats().Running == 1 })
	go post()
	wait(t, "the second to wait", func() bool { return s.engine.Stats().Waiting == 1 })
	gate <- struct{}{} // the prompt of 4 tokens
	gate <- struct{}{} // and the first token
	wait(t, "the second step", func() bool { return s.engine.Stats().Steps == 2 })
	got := s.scrape(t)
	for name, want := range map[string]float64{
		"vllm:num_requests_running": 1, "vllm:num_requests_waiting": 1, "hipengine_kv_cache_tokens": 5,
		"vllm:kv_cache_usage_perc": 0.05,
	} {
		if v := got[name+"{model_name=fake}"]; v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	close(gate)
	for range 2 {
		select {
		case status := <-done:
			if status != 200 {
				t.Errorf("status %d", status)
			}
		case <-ctx.Done():
			t.Fatal("the requests did not end")
		}
	}
}
