// Package metrics counts what a server does and offers it in Prometheus' format. Each [Metrics] has a registry of its
// own. Nothing runs between scrapes: what engines count is read when a scrape asks, and the rest is counted where it
// happens.
//
// Where vLLM has a metric of the same meaning, it is there under vLLM's name too, with the same values: load balancers
// for inference servers, such as those of the Gateway API, read these names.
package metrics
