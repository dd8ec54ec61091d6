// Package tracing sends traces of requests to a collector that speaks OTLP over HTTP. A trace that a request names in
// the header traceparent of W3C is continued, and its decision whether to sample is kept. There is no text of prompts
// or answers in them.
//
// All methods may be called on nil pointers, which trace nothing.
package tracing
