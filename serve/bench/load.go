package bench

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Load is what a number of streams at once got.
type Load struct {
	Streams   int     `json:"streams"`
	Requests  int     `json:"requests"` // that were answered
	Errors    int     `json:"errors"`
	Seconds   float64 `json:"seconds"`
	Prompt    int     `json:"prompt_tokens"` // of all requests
	Cached    int     `json:"cached_tokens"` // of these, that the server did not read again
	Generated int     `json:"generated_tokens"`

	Rate        float64 `json:"tokens_per_second"` // generated, of all streams together
	RequestRate float64 `json:"requests_per_second"`
	Slowest     float64 `json:"slowest_stream"` // tokens per second of the slowest stream, as a share of the median's
	First       Times   `json:"first_token_seconds"`
	Between     Times   `json:"between_tokens_seconds"`
	Whole       Times   `json:"request_seconds"`

	FirstError string `json:"first_error,omitempty"`
}

// load lets streams ask requests times each, one after the other. prompt returns the text of a request.
func (c *client) load(ctx context.Context, streams, requests int, prompt func(stream, request int) string) (Load,
	error) {
	type result struct {
		sample
		err error
	}
	results := make([][]result, streams)
	busy := make([]time.Duration, streams)
	start := time.Now()
	var wg sync.WaitGroup
	for i := range streams {
		wg.Go(func() {
			for n := 0; n < requests && ctx.Err() == nil; n++ {
				s, err := c.chat(ctx, []message{{"user", prompt(i, n)}})
				results[i] = append(results[i], result{s, err})
			}
			busy[i] = time.Since(start)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return Load{}, context.Cause(ctx)
	}
	l := Load{Streams: streams, Seconds: time.Since(start).Seconds()}
	var first, between, whole []time.Duration
	rates := make([]float64, streams)
	for i, list := range results {
		generated := 0
		for _, r := range list {
			if r.err != nil {
				if l.Errors++; l.FirstError == "" {
					l.FirstError = r.err.Error()
				}
				continue
			}
			l.Requests++
			l.Prompt += r.usage.Prompt
			l.Cached += r.usage.Details.Cached
			generated += r.usage.Completion
			first, between, whole = append(first, r.first), append(between, r.gaps...), append(whole, r.whole)
		}
		l.Generated += generated
		rates[i] = float64(generated) / busy[i].Seconds()
	}
	l.Rate, l.RequestRate = float64(l.Generated)/l.Seconds, float64(l.Requests)/l.Seconds
	if m := median(rates); m > 0 {
		l.Slowest = slices.Min(rates) / m
	}
	l.First, l.Between, l.Whole = times(first), times(between), times(whole)
	return l, nil
}

// fresh returns prompts that have no beginning in common with any other of the run.
func (o Options) fresh(kind string) func(stream, request int) string {
	return func(stream, request int) string {
		return o.text(fmt.Sprint(kind, stream, " ", request), o.Words)
	}
}

// text returns n words that belong to a name.
func (o Options) text(name string, n int) string {
	return words(rand.New(rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "%d %s", o.Seed, name)))), n)
}
