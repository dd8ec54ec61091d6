package metrics

import "github.com/prometheus/client_golang/prometheus"

// aliased offers the values of a histogram under another name, so that they are counted once.
type aliased struct {
	of   *prometheus.HistogramVec
	desc *prometheus.Desc
}

func alias(of *prometheus.HistogramVec, name string) aliased {
	return aliased{of, prometheus.NewDesc(name, "The same as the server's metric of its own name.",
		[]string{modelLabel}, nil)}
}

// Describe implements prometheus.Collector.
func (a aliased) Describe(ch chan<- *prometheus.Desc) { ch <- a.desc }

// Collect implements prometheus.Collector.
func (a aliased) Collect(ch chan<- prometheus.Metric) {
	own := make(chan prometheus.Metric)
	go func() {
		a.of.Collect(own)
		close(own)
	}()
	for m := range own {
		ch <- renamed{m, a.desc}
	}
}

// renamed is a metric under another name. The name is its description's; the labels and values are its own.
type renamed struct {
	prometheus.Metric
	desc *prometheus.Desc
}

// Desc implements prometheus.Metric.
func (r renamed) Desc() *prometheus.Desc { return r.desc }
