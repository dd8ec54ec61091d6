package main

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestKill kills a server in the middle of streams, and starts another in its place: no file is left that was not
// there before, the port is free, and it answers as before. There is nothing to repair.
func TestKill(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
		"XDG_STATE_HOME", "XDG_RUNTIME_DIR"} {
		t.Setenv(name, home)
	}
	left := func() (list []string) {
		filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				list = append(list, path)
			}
			return err
		})
		return list
	}
	s := launch(t, "--prefix-cache-host", "64")
	_, before := askFrance(t, s.url, "ember")
	for range 3 {
		_, cancel := s.stream(t, 4000)
		defer cancel()
	}
	s.Process.Kill()
	if err := <-s.done; err == nil {
		t.Error("a killed server ended well")
	}
	if files := left(); len(files) > 0 {
		t.Errorf("it left %q", files)
	}
	port := s.url[strings.LastIndex(s.url, ":")+1:]
	s = launch(t, "--port", port)
	status, after := askFrance(t, s.url, "ember")
	if status != 200 || content(after) == "" || content(after) != content(before) {
		t.Errorf("after a kill: %d %s, before %s", status, after, before)
	}
	s.signal(t)
	if err := s.exit(t, 20*time.Second); err != nil {
		t.Errorf("exit: %v", err)
	}
	if files := left(); len(files) > 0 {
		t.Errorf("a server that was told to stop left %q", files)
	}
}

// content returns the text of a chat's answer.
func content(answer string) string {
	_, rest, _ := strings.Cut(answer, `"content":"`)
	text, _, _ := strings.Cut(rest, `"`)
	return text
}

// TestStopFinishesAll stops a server with more streams than slots, a request that waits for another model to be
// loaded, and one that is no stream: all are answered in full, and the server exits with 0.
func TestStopFinishesAll(t *testing.T) {
	s := launch(t, "ember", q4, "--parallel", "2", "--ctx", "1024", "--pin", "ember", "--on-demand", "--drain-delay",
		"500ms")
	const tokens = 120
	var wg sync.WaitGroup
	read := func(lines *bufio.Scanner) {
		n, last := 1, ""
		for lines.Scan() {
			if lines.Text() != "" {
				last = lines.Text()
				n++
			}
		}
		if last != "data: [DONE]" || n < tokens/2 {
			t.Errorf("a stream ended after %d lines with %q, %v", n, last, lines.Err())
		}
	}
	for range 2 {
		lines, cancel := s.stream(t, tokens)
		defer cancel()
		wg.Go(func() { read(lines) })
	}
	post := func(body string) {
		resp, err := http.Post(s.url+"/v1/completions", "application/json", strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if want := fmt.Sprintf(`"completion_tokens":%d`, tokens); err != nil || resp.StatusCode != 200 ||
			!strings.Contains(string(b), want) {
			t.Errorf("%s: %d %s, %v", body, resp.StatusCode, b, err)
		}
	}
	for _, model := range []string{"ember", "ember", "ember", "ember-Q4_K_M", "ember-Q4_K_M"} {
		wg.Go(func() {
			post(fmt.Sprintf(`{"model":%q,"prompt":"Once","max_tokens":%d,"ignore_eos":true}`, model, tokens))
		})
	}
	time.Sleep(50 * time.Millisecond) // for them to be sent; the drain delay would accept them too
	s.signal(t)
	wg.Wait()
	if err := s.exit(t, 20*time.Second); err != nil {
		t.Errorf("exit: %v", err)
	}
}

// TestMalformedThenRight sends a server requests that are wrong, from bytes that are no HTTP to fields that are out of
// range: 10,000 of them, or 1,000 to be quick. Each is refused, and the answers are then as before.
func TestMalformedThenRight(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 1_000
	}
	s := launch(t)
	_, before := askFrance(t, s.url, "ember")
	const body = `{"model":"ember","messages":[{"role":"user","content":"hi"}],"max_tokens":3,"temperature":0.5,"stop":["a"],"n":1}`
	request := func(method, version, headers, body string) string {
		return fmt.Sprintf("%s /v1/chat/completions %s\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", method,
			version, headers, len(body), body)
	}
	const host = "Host: localhost\r\n"
	kinds := []func(r *rand.Rand) string{
		func(r *rand.Rand) string { return request("GET", "HTTP/1.1", host, body) },
		func(r *rand.Rand) string { return request("PO ST", "HTTP/1.1", host, body) },
		func(r *rand.Rand) string { return request("POST", fmt.Sprintf("HTTP/%d.x", r.IntN(9)), host, body) },
		func(r *rand.Rand) string { return request("POST", "HTTP/1.1", "", body) },
		func(r *rand.Rand) string { return request("POST", "HTTP/1.1", host+host, body) },
		func(r *rand.Rand) string { return request("POST", "HTTP/1.1", "Host: evil.example\r\n", body) },
		func(r *rand.Rand) string {
			return request("POST", "HTTP/1.1", host+"Origin: http://evil.example\r\n", body)
		},
		func(r *rand.Rand) string {
			return request("POST", "HTTP/1.1",
				host+fmt.Sprintf("X%c: y\r\n", []byte("\x00\x7f ()<>@,;[]?={}")[r.IntN(16)]), body)
		},
		func(r *rand.Rand) string {
			return request("POST", "HTTP/1.1", host+"X-Large: "+strings.Repeat("x", 70<<10)+"\r\n", body)
		},
		func(r *rand.Rand) string { return request("POST", "HTTP/1.1", host+"Content-Encoding: br\r\n", body) },
		func(r *rand.Rand) string { return request("POST", "HTTP/1.1", host, body[:r.IntN(len(body))]) },
		func(r *rand.Rand) string { // a value of another kind or size
			keys := []string{`"max_tokens":`, `"temperature":`, `"stop":`, `"n":`, `"messages":`, `"model":`}
			values := []string{`{}`, `[[[]]]`, `-1e400`, `-7`, `"\u0000"`, `1e30`,
				`"` + strings.Repeat("z", 1+r.IntN(300)) + `"`, `{"a":[]}`, `true`}
			key := keys[r.IntN(len(keys))]
			i := strings.Index(body, key) + len(key)
			v := values[r.IntN(len(values))]
			if key == `"stop":` && v[0] == '"' || key == `"temperature":` && v == "1e30" {
				v = "{}" // a text that stops is right
			}
			return request("POST", "HTTP/1.1", host, body[:i]+v+`,"":`+body[i:])
		},
		func(r *rand.Rand) string { // a byte that JSON does not have, outside of strings
			i := strings.Index(body, `,"max`)
			return request("POST", "HTTP/1.1", host, body[:i]+string("%\x00\xff;'\x80"[r.IntN(6)])+body[i:])
		},
		func(r *rand.Rand) string { // noise
			b := make([]byte, 1+r.IntN(200))
			for i := range b {
				b[i] = byte(r.IntN(256))
			}
			return "%" + string(b) + "\r\n\r\n"
		},
	}
	var wg sync.WaitGroup
	const clients = 8
	for c := range clients {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(3, uint64(c)))
			for i := c; i < n; i += clients {
				text := kinds[i/clients%len(kinds)](r)
				conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
				if err != nil {
					t.Error(err)
					return
				}
				conn.SetDeadline(time.Now().Add(20 * time.Second))
				io.WriteString(conn, text) // the server may have seen enough, and closed
				line, _ := bufio.NewReader(conn).ReadString('\n')
				conn.Close()
				var status int
				if _, err := fmt.Sscanf(line, "HTTP/1.1 %d", &status); err != nil || (status < 400 || status > 499) &&
					status != 505 {
					t.Errorf("request %d, %.300q: %q", i, text, line)
				}
			}
		})
	}
	wg.Wait()
	if status, after := askFrance(t, s.url, "ember"); status != 200 || content(after) == "" ||
		content(after) != content(before) {
		t.Errorf("after them: %d %s, before %s", status, after, before)
	}
	s.signal(t)
	if err := s.exit(t, 20*time.Second); err != nil {
		t.Errorf("exit: %v", err)
	}
}
