package serve

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/disk"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/ember"
	llm "github.com/hipengine/hipengine/models"
	_ "github.com/hipengine/hipengine/models/arch/all"
	"github.com/hipengine/hipengine/ops_ref/cpu"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// emberPrompt is Ember's template.
func emberPrompt(tok *tokenizer.Tokenizer) PromptFunc {
	return func(messages, _ json.RawMessage, _ map[string]json.RawMessage) ([]int32, error) {
		var list []struct{ Role, Content string }
		if err := json.Unmarshal(messages, &list); err != nil {
			return nil, err
		}
		var pieces []tokenizer.Piece
		for _, m := range list {
			pieces = append(pieces, tokenizer.Piece{Text: "<|im_start|>" + m.Role + "\n"},
				tokenizer.Piece{Text: m.Content, Plain: true},
				tokenizer.Piece{Text: "<|im_end|>\n"})
		}
		return tok.EncodePieces(append(pieces, tokenizer.Piece{Text: "<|im_start|>assistant\n"}))
	}
}

// emberTokenizer is one as the server wants it.
type emberTokenizer struct{ *tokenizer.Tokenizer }

func (t emberTokenizer) NewStream(special bool) engine.Decoder { return t.Tokenizer.NewStream(special) }

func (t emberTokenizer) BOSText() string { return "" }
func (t emberTokenizer) EOSText() string { return "" }

func (t emberTokenizer) EncodeText(text string, addSpecial, parseSpecial bool) ([]int32, error) {
	return t.Encode(text, tokenizer.Options{AddSpecial: addSpecial, ParseSpecial: parseSpecial})
}

// soakTime is how long the soak test lasts at least: a few seconds, less with -short, or what HIPENGINE_SOAK says.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("HIPENGINE_SOAK")
	switch {
	case text == "" && testing.Short(): // make soak has a minute
		return 300 * time.Millisecond
	case text == "":
		return 3 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("HIPENGINE_SOAK: %v", err)
	}
	return d
}

// TestSoak lets 64 clients stream answers of Ember from a server that has too few pages for them, a prefix cache and a
// folder, while others cancel, ask for less time than it takes, or send nonsense. No stream fails and none starves;
// at the end no goroutine, page, checkpoint or file is left that should not be.
func TestSoak(t *testing.T) {
	const seqs, checkpoints = 24, 12
	streams, others, duration := 64, 6, soakTime(t)
	if testing.Short() {
		t.Log("SKIPPED: -short leaves half of the clients to make soak")
		streams, others = 32, 3
	}
	before := runtime.NumGoroutine()
	f, err := ember.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	vocab, err := tokenizer.FromGGUF(f.Meta)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(vocab)
	if err != nil {
		t.Fatal(err)
	}
	m, err := llm.New(f.Meta)
	if err != nil {
		t.Fatal(err)
	}
	dev := cpu.New(cpu.Options{})
	w, err := llm.LoadWeights(t.Context(), m, f, dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := runner.New(dev, m,
		w, runner.Options{Context: 256, Seqs: seqs, Checkpoints: checkpoints, Pages: 50, KVType: tensor.F16})
	if err != nil {
		t.Fatal(err)
	}
	free, dir := r.FreePages(), t.TempDir()
	store, err := disk.Open(dir, "ember", 64<<20, func(message string) { t.Error(message) })
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.Config{Runner: r, EOG: tok.IsEOG, Checkpoints: checkpoints, HostBytes: 32 << 20,
		Disk: store, MaxQueue: 512,
		Piece: func(id int32) ([]byte, bool) { return tok.Piece(id, false), tok.IsMarker(id) }})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Log: slog.New(slog.DiscardHandler), APIKeys: []string{"alpha", "beta"}, Models: []Model{{
		ID: "ember", Created: time.Now(), Engine: e, Tokenizer: emberTokenizer{tok}, Prompt: emberPrompt(tok)}}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()

	clients := soakClients{url: "http://" + l.Addr().String(),
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}, t: t}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second+2*duration)
	defer stop()
	tokens := make([]atomic.Int64, streams)
	started := time.Now()
	var wait sync.WaitGroup
	disturbed := func() bool {
		s := e.Stats()
		return clients.cancelled.Load() > 0 && clients.late.Load() > 0 && clients.refused.Load() > 0 && s.Preempted > 0 &&
			s.CachedTokens > 0
	}
	wait.Go(func() { // on a slow machine, a few answers take longer
		defer stop()
		for sum := int64(0); ctx.Err() == nil &&
			(time.Since(started) < duration || sum < int64(16*streams) || !disturbed()); time.Sleep(10 * time.Millisecond) {
			sum = 0
			for i := range tokens {
				sum += tokens[i].Load()
			}
		}
	})
	for i := range streams {
		wait.Go(func() { clients.stream(ctx, uint64(i), &tokens[i]) })
	}
	for i := range others {
		wait.Go(func() { clients.disturb(ctx, uint64(i)) })
	}
	wait.Wait()
	stats := e.Stats()
	var each []int64
	for i := range tokens {
		each = append(each, tokens[i].Load())
	}
	slices.Sort(each)
	t.Logf("%v: %d streams of %d to %d tokens, median %d; %d cancelled, %d late, %d refused; made room %d times, %d tokens cached", time.Since(started).Round(time.Second),
		streams, each[0], each[streams-1], each[streams/2], clients.cancelled.Load(), clients.late.Load(),
		clients.refused.Load(), stats.Preempted, stats.CachedTokens)
	// One that gave up its place a moment ago is some tokens behind.
	if each[0] < each[streams/2]/2-4 || each[0] == 0 {
		t.Errorf("the slowest stream got %d tokens, the median is %d: %d", each[0], each[streams/2], each)
	}
	if !disturbed() {
		t.Error("something that should disturb did not happen")
	}
	if stats.Failed != 0 {
		t.Errorf("%d sequences failed", stats.Failed)
	}

	// What is left.
	end, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	clients.http.CloseIdleConnections()
	if err := s.Shutdown(end); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if err := e.Close(end); err != nil {
		t.Errorf("Close of the engine: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Errorf("Close of the folder: %v", err)
	}
	if got := r.FreePages(); !slices.Equal(got, free) {
		t.Errorf("%d pages are free, %d at the start", got, free)
	}
	leftCheckpoints(t, r, checkpoints)
	count, _ := store.Len()
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(paths) != count+1 { // and the lock
		t.Errorf("%d files, of which %d are states in use, %v", len(paths), count, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := w.Free(); err != nil {
		t.Error(err)
	}
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			stack := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before,
				stack[:runtime.Stack(stack, true)])
		}
	}
}

// leftCheckpoints reports checkpoints that nobody dropped, by making as many as fit.
func leftCheckpoints(t *testing.T, r *runner.Runner, n int) {
	t.Helper()
	for i := range n {
		id, err := r.Open()
		if err == nil {
			_, err = r.Checkpoint(id)
		}
		if err != nil {
			t.Errorf("checkpoint %d of %d: %v", i+1, n, err)
			return
		}
		r.Release(id)
	}
}

// soakClients are the clients of the soak test.
type soakClients struct {
	url                      string
	http                     *http.Client
	t                        *testing.T
	cancelled, late, refused atomic.Int64
}

// conversation returns a request of one of a few conversations, which begin alike.
func conversation(rng *rand.Rand, more string) string {
	text := fmt.Sprintf("Once upon a time there were %d birds. %s", rng.IntN(6),
		strings.Repeat("They sat on a tree and sang. ", rng.IntN(8)))
	return fmt.Sprintf(`{"messages":[{"role":"user","content":%q}],"seed":%d,"temperature":0.9%s}`, text,
		rng.IntN(1000), more)
}

func (c *soakClients) post(ctx context.Context, rng *rand.Rand, body string, timeout string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, "POST", c.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+[]string{"alpha", "beta"}[rng.IntN(2)])
	if timeout != "" {
		req.Header.Set(timeoutHeader, timeout)
	}
	return c.http.Do(req)
}

// stream streams answers until ctx ends, and counts their tokens while it has not.
func (c *soakClients) stream(ctx context.Context, seed uint64, tokens *atomic.Int64) {
	rng := rand.New(rand.NewPCG(seed, 64))
	for ctx.Err() == nil {
		resp, err := c.post(context.Background(), rng,
			conversation(rng, `,"max_tokens":6,"ignore_eos":true,"stream":true`), "")
		if err != nil {
			c.t.Errorf("stream %d: %v", seed, err)
			return
		}
		done := false
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			line := lines.Bytes()
			switch {
			case bytes.Contains(line, []byte(`"error"`)) || resp.StatusCode != http.StatusOK:
				c.t.Errorf("stream %d: %d %s", seed, resp.StatusCode, line)
			case bytes.Equal(line, []byte("data: [DONE]")):
				done = true
			case bytes.Contains(line, []byte(`"content":"`)) && ctx.Err() == nil:
				tokens.Add(1)
			}
		}
		resp.Body.Close()
		if !done {
			c.t.Errorf("stream %d ended without [DONE], %v", seed, lines.Err())
			return
		}
	}
}

// disturb sends requests that are cancelled, late or wrong, until ctx ends.
func (c *soakClients) disturb(ctx context.Context, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 6))
	for ctx.Err() == nil {
		switch rng.IntN(3) {
		case 0:
			some, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(400))*time.Millisecond)
			resp, err := c.post(some, rng, conversation(rng, `,"max_tokens":100,"stream":true`), "")
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			if err != nil {
				c.cancelled.Add(1)
			}
			cancel()
		case 1:
			resp, err := c.post(context.Background(), rng, conversation(rng, `,"max_tokens":120`),
				fmt.Sprintf("%.3f", 0.02+rng.Float64()/5))
			if err != nil {
				c.t.Errorf("a late request: %v", err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusGatewayTimeout {
				c.late.Add(1)
			} else if resp.StatusCode != http.StatusOK {
				c.t.Errorf("a late request: status %d", resp.StatusCode)
			}
		case 2:
			bad := []string{`{"messages":`, `{"messages":[],"max_tokens":-1}`, `{"x":1}`,
				conversation(rng, `,"max_tokens":"many"`), ""}[rng.IntN(5)]
			resp, err := c.post(context.Background(), rng, bad, "")
			if err != nil {
				c.t.Errorf("a wrong request: %v", err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode < 400 || resp.StatusCode > 499 {
				c.t.Errorf("%s: status %d", bad, resp.StatusCode)
			}
			c.refused.Add(1)
			time.Sleep(20 * time.Millisecond)
		}
	}
}
