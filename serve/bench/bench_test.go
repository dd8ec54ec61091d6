package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// server is an OpenAI-like server that takes 20 ms to the first of four pieces and 10 ms to each other, and knows what
// it has been sent before.
type server struct {
	mu       sync.Mutex
	prompts  []string // what it has read
	requests int
	active   int
	most     int // requests at once
	fail     func(n int) int
	tail     string // in place of the end of a stream
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer secret" {
		http.Error(w, `{"error":{"message":"who are you?"}}`, http.StatusUnauthorized)
		return
	}
	if r.URL.Path == "/v1/models" {
		io.WriteString(w, `{"data":[{"id":"first"},{"id":"second"}]}`)
		return
	}
	var req struct {
		Model    string
		Messages []message
		Max      int  `json:"max_tokens"`
		Ignore   bool `json:"ignore_eos"`
		Stream   bool
		Options  struct {
			Usage bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil || req.Model != "first" || !req.Stream ||
		!req.Options.Usage || !req.Ignore {
		http.Error(w, fmt.Sprintf("bad request %+v, %v", req, err), http.StatusBadRequest)
		return
	}
	prompt := ""
	for _, m := range req.Messages {
		prompt += m.Role + ": " + m.Content + "\n"
	}
	s.mu.Lock()
	s.requests++
	n := s.requests
	cached := 0
	for _, p := range s.prompts {
		i := 0
		for i < min(len(p), len(prompt)) && p[i] == prompt[i] {
			i++
		}
		cached = max(cached, i)
	}
	s.prompts = append(s.prompts, prompt)
	s.active++
	s.most = max(s.most, s.active)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.active--
		s.mu.Unlock()
	}()
	if s.fail != nil {
		if status := s.fail(n); status != 0 {
			http.Error(w, `{"error":{"message":"no more"}}`, status)
			return
		}
	}
	pieces := min(4, req.Max)
	io.WriteString(w, ": ping\n\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n")
	time.Sleep(10 * time.Millisecond)
	for i := range pieces {
		time.Sleep(10 * time.Millisecond)
		fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":{\"content\":\"w%d \"}}]}\n\n", i)
		w.(http.Flusher).Flush()
	}
	if s.tail != "" {
		io.WriteString(w, s.tail)
		return
	}
	fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d,\"prompt_tokens_details\":{\"cached_tokens\":%d}}}\n\n"+
		"data: [DONE]\n\n", len(prompt), pieces, cached)
}

func start(t *testing.T, s *server) Target {
	t.Helper()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return Target{URL: h.URL + "/", Key: "secret"}
}

// TestRun measures a server whose times are known.
func TestRun(t *testing.T) {
	s := &server{}
	o := Options{Streams: []int{1, 3}, Requests: 2, Words: 5, Tokens: 9, SharedWords: 50, SharedStreams: 2, Turns: 4,
		AgentSystem: 20,
		AgentWords:  3, ColdEvery: 2}
	var told []string
	r, err := Run(t.Context(), start(t, s), o,
		func(done, total int, what string) { told = append(told, fmt.Sprint(done, "/", total, " ", what)) })
	if err != nil {
		t.Fatal(err)
	}
	if n, first := r.Errors(); n != 0 || r.Model != "first" || s.most != 3 || len(r.Load) != 2 {
		t.Errorf("%d errors, %s; model %s, %d at once, %d levels", n, first, r.Model, s.most, len(r.Load))
	}
	for i, l := range append(r.Load, *r.Shared) {
		n := []int{2, 6, 4}[i]
		if l.Requests != n || l.Generated != 4*n || l.First.Count != n || l.Between.Count != 3*n ||
			l.Whole.Count != n {
			t.Errorf("level %d: %+v", i, l)
		}
		if l.First.P50 < .02 || l.First.P50 > l.First.P99 || l.First.P99 > l.First.Max || l.Between.P50 < .008 ||
			l.Whole.P50 < .05 {
			t.Errorf("level %d: times are too short: %+v", i, l)
		}
		if l.Rate <= 0 || math.Abs(l.Rate-float64(l.Generated)/l.Seconds) > 1e-9 || l.Slowest <= 0 || l.Slowest > 1 {
			t.Errorf("level %d: rates %+v", i, l)
		}
	}
	// What a chat template writes is common to all prompts.
	if share := float64(r.Load[1].Cached) / float64(r.Load[1].Prompt); share > .5 {
		t.Errorf("%.2f of fresh prompts were cached", share)
	}
	if share := float64(r.Shared.Cached) / float64(r.Shared.Prompt); share < .7 {
		t.Errorf("%.2f of prompts that begin alike were cached", share)
	}
	turns := r.Agent.Turns
	for i, turn := range turns {
		if i > 0 && (turn.Prompt <= turns[i-1].Prompt || turn.Cached < turns[i-1].Prompt) {
			t.Errorf("turn %d: %+v after %+v: the conversation did not grow on itself", i+1, turn, turns[i-1])
		}
		if cold := turn.Cold > 0; cold != (i%2 == 1) || turn.First < .02 || turn.Whole < turn.First {
			t.Errorf("turn %d: %+v", i+1, turn)
		}
	}
	if len(turns) != 4 || len(told) != 7 || told[0] != "1/7 1 streams" || told[6] != "7/7 turn 4" {
		t.Errorf("%d turns, told %q", len(turns), told)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
	first := append([]string(nil), s.prompts...)
	s.prompts = nil
	o.Streams, o.Requests, o.SharedStreams = []int{1}, 1, 1
	if _, err := Run(t.Context(), start(t, s), o, nil); err != nil || s.prompts[0] != first[0] ||
		s.prompts[1] != first[1] {
		t.Errorf("%v: another run of the same seed asks %q, not %q", err, s.prompts[:2], first[:2])
	}
}

// TestErrors counts requests that fail under load, and ends where a measurement would mean nothing.
func TestErrors(t *testing.T) {
	load := Options{Streams: []int{2}, Requests: 2, Words: 1, Tokens: 2}
	s := &server{fail: func(n int) int {
		if n == 2 || n == 3 { // after the first, which warms up
			return http.StatusTooManyRequests
		}
		return 0
	}}
	r, err := Run(t.Context(), start(t, s), load, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, first := r.Errors(); n != 2 || r.Load[0].Requests != 2 || !strings.Contains(first, "status 429: no more") {
		t.Errorf("%d errors, %q, %+v", n, first, r.Load)
	}
	for _, tail := range []string{"data: {\"error\":{\"message\":\"device lost\"}}\n\n", "data: nonsense\n\n",
		": end\n\n"} {
		s := &server{tail: tail}
		if _, err := Run(t.Context(), start(t, s), load, nil); err == nil {
			t.Errorf("%q: no error", tail)
		}
	}
	var refused *StatusError
	if _, err := Run(t.Context(), Target{URL: start(t, &server{}).URL, Key: "wrong"}, load, nil); !errors.As(err,
		&refused) || refused.Status != 401 || refused.Message != "who are you?" {
		t.Errorf("a wrong key: %v", err)
	}
	for _, url := range []string{"", "localhost:80", "ftp://x", "http://"} {
		if _, err := Run(t.Context(), Target{URL: url}, load, nil); err == nil ||
			!strings.Contains(err.Error(), "no address") {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := Run(t.Context(), Target{}, Options{}, nil); err == nil {
		t.Error("options that measure nothing")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	s = &server{fail: func(n int) int {
		if n == 3 {
			cancel(errors.New("enough"))
		}
		return 0
	}}
	if _, err := Run(ctx, start(t, s), load, nil); err == nil || err.Error() != "enough" {
		t.Errorf("a run that is cancelled: %v", err)
	}
}

func TestTimes(t *testing.T) {
	var d []time.Duration
	for i := range 100 {
		d = append(d, time.Duration(100-i)*time.Second)
	}
	if got, want := times(d), (Times{100, 50.5, 50, 90, 99, 100}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, want := times([]time.Duration{time.Second}), (Times{1, 1, 1, 1, 1, 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := times(nil); got != (Times{}) {
		t.Errorf("%+v", got)
	}
	if m := median([]float64{5, 1, 3, 2}); m != 2.5 {
		t.Errorf("median %v", m)
	}
}
