package serve

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/fake"
)

// begin sends a chat request for a stream and returns its lines; the caller ends it by cancel or by reading to the end.
func (s *site) begin(t *testing.T, members string) (lines *bufio.Scanner, cancel func()) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "POST", s.url+"/v1/chat/completions", strings.NewReader(hi+`,"stream":true`+members+`}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	t.Cleanup(stop)
	return bufio.NewScanner(resp.Body), func() { stop(); resp.Body.Close() }
}

func TestAbortStopsTheSequence(t *testing.T) {
	for name, path := range map[string]string{"stream": `,"stream":true}`, "whole answer": `}`, "several choices": `,"n":3,"stream":true}`} {
		t.Run(name, func(t *testing.T) {
			s := open(t, &fake.Runner{Delay: time.Millisecond}, nil)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "POST", s.url+"/v1/chat/completions", strings.NewReader(hi+path))
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				if resp, err := http.DefaultClient.Do(req); err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}()
			wait(t, "generating", func() bool { return s.engine.Stats().GeneratedTokens > 10 })
			cancel()
			wait(t, "the end of the sequences", func() bool {
				st := s.engine.Stats()
				return st.Running == 0 && st.Waiting == 0 && st.Cancelled > 0
			})
			if st := s.engine.Stats(); st.Length != 0 || st.Stopped != 0 {
				t.Errorf("stats %+v: a sequence ran to its end", st)
			}
		})
	}
}

func TestAbortWhileQueuedAndPrefilling(t *testing.T) {
	gate := make(chan struct{})
	s := open(t, &fake.Runner{Lim: runner.Limits{Seqs: 1, Batch: 4}, Gate: gate}, nil)
	_, cancelRunning := s.begin(t, "")
	_, cancelQueued := s.begin(t, "")
	gate <- struct{}{} // one chunk of the first prompt
	wait(t, "queueing", func() bool { return s.engine.Stats().Waiting == 1 })
	cancelQueued()
	cancelRunning()
	// The server learns of a closed connection in its own time, so steps are let through until it has.
	wait(t, "the end of the sequences", func() bool {
		select {
		case gate <- struct{}{}:
			time.Sleep(20 * time.Millisecond)
		default:
		}
		return s.engine.Stats().Cancelled == 2
	})
	if st := s.engine.Stats(); st.Running != 0 || st.Waiting != 0 {
		t.Errorf("stats %+v", st)
	}
	close(gate)
}

func TestPingsWhilePrefilling(t *testing.T) {
	gate := make(chan struct{})
	s := open(t, &fake.Runner{Reply: "x", Gate: gate}, func(c *Config) { c.PingInterval = 5 * time.Millisecond })
	lines, cancel := s.begin(t, "")
	defer cancel()
	pings := 0
	for lines.Scan() {
		switch {
		case lines.Text() == ": ping":
			if pings++; pings == 3 {
				close(gate)
			}
		case lines.Text() == "data: [DONE]":
			if pings < 3 {
				t.Errorf("%d pings", pings)
			}
			return
		}
	}
	t.Errorf("the stream ended without [DONE]: %v", lines.Err())
}

func TestErrorInMidStream(t *testing.T) {
	steps := 0
	r := &fake.Runner{Reply: "hello"}
	r.Fail = func([]runner.Work) error {
		if steps++; steps == 3 {
			return errors.New("device lost")
		}
		return nil
	}
	s := open(t, r, nil)
	status, _, body := s.call(t, "POST", "/v1/chat/completions", hi+`,"stream":true}`)
	want := `data: {"error":{"message":"the model failed: step: device lost","type":"server_error","param":null,"code":null}}` + "\n\n"
	if status != 200 || !strings.HasSuffix(body, want) || strings.Contains(body, "[DONE]") || !strings.Contains(body, `"content":"e"`) {
		t.Errorf("%d\n%s", status, body)
	}
	if status, _, body = s.call(t, "POST", "/v1/chat/completions", hi+`}`); status != 200 {
		t.Errorf("after the failure: %d %s", status, body)
	}
}

func TestSixteenStreams(t *testing.T) {
	s := open(t, &fake.Runner{Lim: runner.Limits{Seqs: 5, Batch: 16}}, nil)
	get := func(i int) string {
		body := fmt.Sprintf(`{"messages":[{"role":"user","content":"prompt %d"}],"seed":%d,"max_tokens":%d,"stream":true}`, i, i, 20+i)
		resp, err := http.Post(s.url+"/v1/chat/completions", "application/json", strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return ""
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return fixed(string(b))
	}
	var alone, together [16]string
	for i := range alone {
		alone[i] = get(i)
	}
	var wg sync.WaitGroup
	for i := range together {
		wg.Go(func() { together[i] = get(i) })
	}
	wg.Wait()
	for i := range alone {
		if alone[i] != together[i] || !strings.HasSuffix(alone[i], "data: [DONE]\n\n") {
			t.Errorf("stream %d differs:\n%s\n%s", i, alone[i], together[i])
		}
	}
}

func TestQueueFull(t *testing.T) {
	gate := make(chan struct{})
	s := open(t, &fake.Runner{Reply: "x", Lim: runner.Limits{Seqs: 1}, Gate: gate}, nil)
	var wg sync.WaitGroup
	wg.Go(func() { s.call(t, "POST", "/v1/completions", `{"prompt":"x"}`) })
	wait(t, "running", func() bool { return s.engine.Stats().Running == 1 })
	for range 4 {
		wg.Go(func() { s.call(t, "POST", "/v1/completions", `{"prompt":"x","n":16}`) })
	}
	wait(t, "queueing", func() bool { return s.engine.Stats().Waiting == 64 })
	status, h, body := s.call(t, "POST", "/v1/completions", `{"prompt":"x"}`)
	if status != 429 || h.Get("Retry-After") == "" || !strings.Contains(body, `"code":"queue_full"`) {
		t.Errorf("%d %v %s", status, h, body)
	}
	close(gate)
	wg.Wait()
}

func TestRequestTimeout(t *testing.T) {
	s := open(t, &fake.Runner{Delay: 5 * time.Millisecond}, func(c *Config) { c.RequestTimeout = 50 * time.Millisecond })
	if status, _, body := s.call(t, "POST", "/v1/chat/completions", hi+`}`); status != 504 || !strings.Contains(body, `"code":"timeout"`) {
		t.Errorf("%d %s", status, body)
	}
	if _, _, body := s.call(t, "POST", "/v1/chat/completions", hi+`,"stream":true}`); !strings.Contains(body, `"code":"timeout"`) {
		t.Errorf("stream %s", body)
	}
	wait(t, "the end of the sequences", func() bool { return s.engine.Stats().Cancelled == 2 })
}

// TestDeadlineOfTheClient ends requests when their own header says, while they wait, read the prompt, or answer.
func TestDeadlineOfTheClient(t *testing.T) {
	s := open(t, &fake.Runner{Lim: runner.Limits{Seqs: 1, Batch: 4}, Delay: 5 * time.Millisecond}, func(c *Config) { c.RequestTimeout = time.Minute })
	long := `{"messages":[{"role":"user","content":"` + strings.Repeat("a long prompt ", 100) + `"}]`
	for what, body := range map[string]string{"answering": hi + `}`, "reading the prompt": long + `}`} {
		status, _, text := s.call(t, "POST", "/v1/chat/completions", body, "X-Request-Timeout", "0.06")
		if status != 504 || !strings.Contains(text, `"code":"timeout"`) || !strings.Contains(text, "X-Request-Timeout") {
			t.Errorf("%s: %d %s", what, status, text)
		}
	}
	done := make(chan string, 1)
	go func() {
		_, _, text := s.call(t, "POST", "/v1/chat/completions", hi+`,"max_tokens":60}`)
		done <- text
	}()
	wait(t, "the slot to be taken", func() bool { return s.engine.Stats().Running == 1 })
	if status, _, text := s.call(t, "POST", "/v1/chat/completions", hi+`}`, "X-Request-Timeout", "0.05"); status != 504 {
		t.Errorf("waiting: %d %s", status, text)
	}
	if text := <-done; !strings.Contains(text, `"finish_reason":"length"`) {
		t.Errorf("the request before it: %s", text)
	}
	if _, _, text := s.call(t, "POST", "/v1/chat/completions", hi+`,"stream":true}`, "X-Request-Timeout", "0.05"); !strings.Contains(text, `"code":"timeout"`) {
		t.Errorf("stream: %s", text)
	}
	wait(t, "the end of the sequences", func() bool { return s.engine.Stats().Cancelled == 4 })
	for _, bad := range []string{"soon", "0", "-1", "NaN", "inf", "1e9", "1s"} {
		if status, _, text := s.call(t, "POST", "/v1/chat/completions", hi+`}`, "X-Request-Timeout", bad); status != 400 || !strings.Contains(text, "seconds") {
			t.Errorf("%q: %d %s", bad, status, text)
		}
	}
}

// pipes is a listener whose connections have no buffer, so that a client that does not read is felt at once.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }
func (p pipes) Close() error   { return nil }

func TestSlowReaderIsEvicted(t *testing.T) {
	s := open(t, &fake.Runner{}, func(c *Config) { c.WriteTimeout = 50 * time.Millisecond })
	p := make(pipes)
	go s.http.Serve(p)
	defer close(p)
	client, server := net.Pipe()
	defer client.Close()
	p <- server
	body := hi + `,"stream":true}`
	fmt.Fprintf(client, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	line, err := bufio.NewReaderSize(client, 16).ReadString('\n')
	if err != nil || !strings.Contains(line, "200") {
		t.Fatalf("%q, %v", line, err)
	}
	wait(t, "the eviction", func() bool { st := s.engine.Stats(); return st.Running == 0 && st.Cancelled+st.Length == 1 })
	wait(t, "the log line", func() bool { return strings.Contains(s.log.String(), "stream cut off") })
}

// smallBuffers is a listener whose connections hold little that is not read.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(4096)
	}
	return c, err
}

// TestSlowReadersHoldNoSlot opens more streams than there are slots, for clients that never read. Others are answered
// meanwhile, and the slow ones are cut off.
func TestSlowReadersHoldNoSlot(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0)))) // streams begin together
	r := &fake.Runner{Reply: strings.Repeat("x", 300), Lim: runner.Limits{Seqs: 2}}
	s := open(t, r, func(c *Config) { c.WriteTimeout = 500 * time.Millisecond })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.http.Serve(smallBuffers{l})
	const readers = 8
	body := `{"model":"fake","messages":[{"role":"user","content":"hi"}],"stream":true,"logprobs":true,"top_logprobs":20}`
	for range readers {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	wait(t, "the first streams", func() bool { return s.engine.Stats().Running == 2 })
	for range 3 {
		if status, _, answer := s.call(t, "POST", "/v1/completions", `{"prompt":"x","max_tokens":2}`); status != 200 {
			t.Errorf("beside slow readers: %d %s", status, answer)
		}
	}
	wait(t, "the end of the streams", func() bool { return strings.Count(s.log.String(), "stream cut off") == readers })
	if st := s.engine.Stats(); st.Running+st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
}

func TestSlowBody(t *testing.T) {
	s := open(t, &fake.Runner{}, func(c *Config) { c.ReadTimeout = 50 * time.Millisecond })
	for name, path := range map[string]string{"read by a handler": "/v1/completions", "read by nobody": "/nothing"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{", path)
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		b, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 4") {
			t.Errorf("%s: %q, %v: the connection was not answered and closed", name, b, err)
		}
		conn.Close()
	}
}

func TestLongAnswerOutlivesReadTimeout(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "hello", Delay: 20 * time.Millisecond}, func(c *Config) { c.ReadTimeout = 40 * time.Millisecond })
	if status, _, body := s.call(t, "POST", "/v1/chat/completions", hi+`}`); status != 200 || !strings.Contains(body, "hello") {
		t.Errorf("%d %s", status, body)
	}
}
