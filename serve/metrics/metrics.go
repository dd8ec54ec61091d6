package metrics

import (
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hipengine/hipengine/engine/pool"
)

// Metrics are the counts of one server. Its methods may be called from any goroutine.
type Metrics struct {
	registry *prometheus.Registry

	requests                                      *prometheus.CounterVec
	took                                          *prometheus.HistogramVec
	queue, prefill, decode, first, between, whole *prometheus.HistogramVec

	pace pace
}

// New returns metrics without counts. models is called at each scrape, for the models that are offered.
func New(version string, models func() []pool.Status) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hipengine_http_requests_total", Help: "HTTP requests that were answered.",
		}, []string{"endpoint", "status"}),
		took: histogram("http_request_seconds", "Time of HTTP requests, from the headers to the end of the answer.",
			seconds, "endpoint"),
		queue: histogram("request_queue_seconds", "Time that sequences waited for a slot.", seconds, modelLabel),
		prefill: histogram("request_prefill_seconds", "Time from a sequence's slot to its first token.", seconds,
			modelLabel),
		decode: histogram("request_decode_seconds", "Time from a sequence's first token to its last.", seconds,
			modelLabel),
		first: histogram("time_to_first_token_seconds", "Time from a request's arrival to a sequence's first token.",
			seconds, modelLabel),
		between: histogram("inter_token_seconds", "Time between two tokens of a sequence.", fractions, modelLabel),
		whole: histogram("request_seconds", "Time from a request's arrival to a sequence's end.", seconds,
			modelLabel),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "hipengine_build_info", Help: "The program's version; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(
		build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		engines{models}, llamaNames{models, &m.pace}, m.requests, m.took, m.queue, m.prefill, m.decode, m.first, m.between,
		m.whole,
		alias(m.queue, "vllm:request_queue_time_seconds"),
		alias(m.prefill, "vllm:request_prefill_time_seconds"),
		alias(m.decode, "vllm:request_decode_time_seconds"),
		alias(m.first, "vllm:time_to_first_token_seconds"),
		alias(m.between, "vllm:inter_token_latency_seconds"),
		alias(m.whole, "vllm:e2e_request_latency_seconds"),
	)
	return m
}

// modelLabel is the label with a model's id, as vLLM spells it.
const modelLabel = "model_name"

// The upper bounds of the histograms' buckets, in seconds. A slow machine's prompts and a fast one's tokens fit in.
var (
	seconds   = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640}
	fractions = []float64{.001, .0025, .005, .0075, .01, .015, .02, .03, .05, .075, .1, .15, .2, .3, .5, .75, 1, 2.5,
		5, 10}
)

func histogram(name, help string, buckets []float64, label string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "hipengine_" + name, Help: help,
		Buckets: buckets}, []string{label})
}

// Handler returns the endpoint that is scraped. It answers at most two scrapes at a time, so that they cannot take
// what requests need.
func (m *Metrics) Handler() http.Handler {
	scrape := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2, DisableCompression: true})
	started := strconv.FormatInt(time.Now().Unix(), 10)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Process-Start-Time-Unix", started) // as llama.cpp's server says it
		scrape.ServeHTTP(w, r)
	})
}

// Request counts an answered request. endpoint is one of few, not the path of the request.
func (m *Metrics) Request(endpoint string, status int, took time.Duration) {
	m.requests.WithLabelValues(endpoint, strconv.Itoa(status)).Inc()
	m.took.WithLabelValues(endpoint).Observe(took.Seconds())
}
