package serve

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hipengine/hipengine/internal/fake"
)

// dial connects to the site, for at most 5 s.
func (s *site) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(5 * time.Second))
	return c
}

// TestSlowClientsHoldNoSlot opens connections whose headers and bodies drip in, byte by byte, so that no single wait
// is long. Others are answered meanwhile, and the slow ones are told to go.
func TestSlowClientsHoldNoSlot(t *testing.T) {
	const limit = 150 * time.Millisecond
	s := open(t, &fake.Runner{Reply: "x"}, func(c *Config) { c.HeaderTimeout, c.ReadTimeout = limit, limit })
	head := "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
	var wg sync.WaitGroup
	for i := range 40 {
		text, drip := head, "X-Slow: "
		if i%2 == 1 {
			text, drip = head+"Content-Length: 1000000\r\n\r\n", `{"prompt":"`
		}
		c := s.dial(t)
		start := time.Now()
		io.WriteString(c, text+drip)
		wg.Go(func() {
			for time.Since(start) < 4*time.Second {
				time.Sleep(10 * time.Millisecond)
				if _, err := io.WriteString(c, "x"); err != nil {
					break // the server has closed the connection
				}
			}
			if took := time.Since(start); took < limit || took > 3*time.Second {
				t.Errorf("client %d was cut off after %v", i, took)
			}
		})
	}
	for range 5 {
		if status, _, body := s.call(t, "POST", "/v1/completions", `{"prompt":"x"}`); status != 200 {
			t.Errorf("beside slow clients: %d %s", status, body)
		}
	}
	if st := s.engine.Stats(); st.Running != 0 || st.Waiting != 0 || st.Stopped != 5 {
		t.Errorf("slow clients reached the engine: %+v", st)
	}
	wg.Wait()
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	s := open(t, &fake.Runner{}, func(c *Config) { c.IdleTimeout = 100 * time.Millisecond })
	c := s.dial(t)
	fmt.Fprintf(c, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if b, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(b, []byte("HTTP/1.1 200")) {
		t.Errorf("%q, %v: the connection was not closed", b, err)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	s := open(t, &fake.Runner{}, nil)
	for name, header := range map[string]string{
		"one": "X-Big: " + strings.Repeat("x", 80<<10) + "\r\n", "many": strings.Repeat("X-Small: x\r\n", 8<<10),
		"path": "",
	} {
		path := "/livez"
		if name == "path" {
			path += "?" + strings.Repeat("x", 80<<10)
		}
		c := s.dial(t)
		// The server stops reading and closes, so that the write may fail.
		go fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", path, header)
		line, err := bufio.NewReader(c).ReadString('\n')
		if !strings.HasPrefix(line, "HTTP/1.1 431") {
			t.Errorf("%s: %q, %v", name, line, err)
		}
	}
	big := strings.Repeat("x", 40<<10)
	if status, _, _ := s.call(t, "GET", "/livez", "", "X-Big", big); status != 200 {
		t.Errorf("headers within the limit: %d", status)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "x"}, func(c *Config) { c.Limits.BodyBytes = 1000 })
	body := func(n int) string {
		const frame = `{"prompt":""}`
		return `{"prompt":"` + strings.Repeat("x", n-len(frame)) + `"}`
	}
	if status, _, text := s.call(t, "POST", "/v1/completions", body(1000)); status != 200 {
		t.Errorf("at the limit: %d %s", status, text)
	}
	if status, _, text := s.call(t, "POST", "/v1/completions", body(1001)); status != 413 ||
		!strings.Contains(text, "1000 bytes") {
		t.Errorf("above it: %d %s", status, text)
	}
	// A body without a length.
	c := s.dial(t)
	fmt.Fprintf(c, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n%s\r\n0\r\n\r\n", body(2000))
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 413") {
		t.Errorf("chunked: %q, %v", line, err)
	}
	if status, _, text := s.call(t, "POST", "/v1/completions", body(100), "Content-Encoding", "gzip"); status != 415 {
		t.Errorf("compressed: %d %s", status, text)
	}
}

func TestDepthIsBounded(t *testing.T) {
	s := open(t, &fake.Runner{}, nil)
	deep := strings.Repeat("[", 100_000)
	for _, body := range []string{deep, `{"messages":` + deep, `{"messages":` + deep + strings.Repeat("]", 100_000) +
		`}`} {
		if status, _, text := s.call(t, "POST", "/v1/chat/completions", body); status != 400 || len(text) > 1000 {
			t.Errorf("%d, %d bytes: %.200s", status, len(text), text)
		}
	}
}

// TestMalformedRequests sends 10,000 requests that are wrong in many ways. Each is the client's fault, none reaches
// the engine, and the server then answers as before.
func TestMalformedRequests(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "abc"}, func(c *Config) { c.Log = nil })
	_, _, before := s.call(t, "POST", "/v1/chat/completions", hi+`,"seed":1}`)
	random := rand.New(rand.NewPCG(1, 2))
	bodies := map[string]string{
		"/v1/chat/completions": hi +
			`,"temperature":0.5,"stop":["a","b"],"logit_bias":{"5":1},"max_tokens":3,"n":2,"stream":true}`,
		"/v1/completions": `{"model":"fake","prompt":["x","y"],"temperature":0.5,"stop":"a","logit_bias":{"5":1},"max_tokens":3,"echo":false}`,
	}
	paths := []string{"/v1/chat/completions", "/v1/completions"}
	values := []string{`null,"x":1`, `-2`, `1e999`, `[[]]`, `{"a":{}}`, `"\ud800"`, `99999999999999999999`, `true`,
		`"` + strings.Repeat("y", 300) + `"`}
	breakers := []func(body string) string{
		func(b string) string { return b[:random.IntN(len(b))] },                                        // cut off
		func(b string) string { return b[:len(b)-1] + `,"unknown` + fmt.Sprint(random.Int()) + `":1}` }, // unknown
		// more follows
		func(b string) string { return b + string(rune('a'+random.IntN(26))) },
		func(b string) string { // no number
			return strings.Replace(b, "0.5", []string{`"x"`, "{}", "1e999", "-1", ".", "NaN"}[random.IntN(6)], 1)
		},
		func(b string) string { // a value of another kind
			return strings.Replace(b, `"max_tokens":3`, `"max_tokens":`+values[random.IntN(len(values))], 1)
		},
		func(b string) string {
			return strings.Replace(b, `"5":1`, fmt.Sprintf(`"%d":1`, 258+random.IntN(1<<30)), 1)
		}, // no token
		func(b string) string { // bytes that are no UTF-8, somewhere within a string
			return strings.Replace(b, `"a"`, "\"\xff"+string([]byte{byte(128 + random.IntN(64))})+`"`, 1)
		},
		func(string) string { // noise, which begins no value
			noise := []byte{'%'}
			for range random.IntN(200) {
				noise = append(noise, byte(random.IntN(256)))
			}
			return string(noise)
		},
	}
	for i := range 10_000 {
		path := paths[random.IntN(2)]
		body := breakers[i%len(breakers)](bodies[path])
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "http://localhost"+path, strings.NewReader(body))
		s.Handler().ServeHTTP(w, r)
		if w.Code < 400 || w.Code > 499 || !strings.Contains(w.Body.String(), `"type":"invalid_request_error"`) {
			t.Fatalf("request %d, %q: %d %s", i, body, w.Code, w.Body)
		}
	}
	if st := s.engine.Stats(); st.Stopped != 1 || st.Cancelled+st.Failed+st.Length != 0 {
		t.Errorf("malformed requests reached the engine: %+v", st)
	}
	if _, _, after := s.call(t, "POST", "/v1/chat/completions", hi+`,"seed":1}`); fixed(after) != fixed(before) {
		t.Errorf("after them, the server answers %s, before %s", after, before)
	}
}

// TestMalformedHTTP sends what is no request at all.
func TestMalformedHTTP(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "x"}, nil)
	const post = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
	for _, text := range []string{
		"\r\n\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /livez HTTP/1.1\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"GET /livez HTTP/1.1\r\nHost: localhost\r\nNo colon\r\n\r\n",
		post + "Content-Length: -5\r\n\r\n", post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
		post + "Transfer-Encoding: gzip\r\n\r\nx", post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", post +
			"Content-Length: 99999999999999999999\r\n\r\n",
	} {
		c := s.dial(t)
		io.WriteString(c, text)
		c.(*net.TCPConn).CloseWrite()
		b, err := io.ReadAll(c)
		if err != nil || !bytes.HasPrefix(b, []byte("HTTP/1.1 4")) && !bytes.HasPrefix(b, []byte("HTTP/1.1 50")) {
			t.Errorf("%q: %q, %v", text, b, err)
		}
	}
	if status, _, body := s.call(t, http.MethodPost, "/v1/completions", `{"prompt":"x"}`); status != 200 {
		t.Errorf("after them: %d %s", status, body)
	}
}
