//go:build linux

package supervise

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be a worker, or a supervisor that is killed.
func TestMain(m *testing.M) {
	switch os.Getenv("SUPERVISE_TEST") {
	case "":
		os.Exit(m.Run())
	case "supervisor":
		os.Setenv("SUPERVISE_TEST", "worker")
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		fmt.Println(l.Addr())
		Run(context.Background(), Config{Listener: l, Args: os.Args[1:], Say: func(string) {}})
	}
	w, err := AsWorker()
	if err != nil || w == nil {
		panic(fmt.Sprint("no worker: ", err))
	}
	work(w, os.Args[len(os.Args)-1])
}

// work is the worker's program. mode is what it does instead of serving.
func work(w *Worker, mode string) {
	w.Device("test:0 (a device)")
	switch mode {
	case "abort":
		syscall.Kill(os.Getpid(), syscall.SIGABRT)
		select {}
	case "exit":
		w.Done()
		os.Exit(3)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/pid", func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, os.Getpid()) })
	mux.HandleFunc("/echo", func(rw http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintln(rw, r.RemoteAddr, r.Context().Value(http.LocalAddrContextKey), r.Host, r.URL.RawQuery,
			r.Header.Get("X-Test"), string(b))
	})
	mux.HandleFunc("/hang", func(rw http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/stream", func(rw http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		rw.Header().Set("Content-Type", "text/event-stream")
		for i := range n {
			fmt.Fprintf(rw, "data: %d\n\n", i)
			http.NewResponseController(rw).Flush()
			time.Sleep(5 * time.Millisecond)
		}
		fmt.Fprint(rw, "data: [DONE]\n\n")
	})
	mux.HandleFunc("/abort", func(rw http.ResponseWriter, r *http.Request) {
		syscall.Kill(os.Getpid(), syscall.SIGABRT)
		select {}
	})
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	server := &http.Server{Handler: mux}
	go server.Serve(w.Listener())
	w.Ready()
	<-stop
	server.Shutdown(context.Background())
	w.Done()
	os.Exit(0)
}

// supervised is a supervisor in the test's process.
type supervised struct {
	url  string
	stop context.CancelFunc
	end  chan error

	mu   sync.Mutex
	said []string
}

func (s *supervised) words() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.said, "\n")
}

func begin(t *testing.T, mode string, change func(*Config)) *supervised {
	t.Helper()
	t.Setenv("SUPERVISE_TEST", "worker")
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &supervised{url: "http://" + l.Addr().String(), end: make(chan error, 1)}
	c := Config{Listener: l, Stderr: null, Args: []string{mode}, Device: "auto", Backoff: 20 * time.Millisecond,
		Say: func(text string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.said = append(s.said, text)
		}}
	if change != nil {
		change(&c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	t.Cleanup(cancel)
	go func() { s.end <- Run(ctx, c) }()
	return s
}

// wait returns what Run did.
func (s *supervised) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.end:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("the supervisor does not end")
		return nil
	}
}

// get returns the status, the body and Retry-After of an answer.
func (s *supervised) get(t *testing.T, path string) (int, string, string) {
	t.Helper()
	resp, err := http.Get(s.url + path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return resp.StatusCode, string(b), resp.Header.Get("Retry-After")
}

// ready waits until a worker answers, and returns its process id. Meanwhile the supervisor must be live.
func (s *supervised) ready(t *testing.T) string {
	t.Helper()
	for range 1000 {
		if status, _, _ := s.get(t, "/livez"); status != 200 {
			t.Fatalf("/livez: %d", status)
		}
		if status, pid, _ := s.get(t, "/pid"); status == 200 {
			return pid
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no worker gets ready")
	return ""
}

// wantDown checks the answer to a request whose worker died.
func wantDown(t *testing.T, what string, status int, body, retry string) {
	t.Helper()
	var e struct{ Error struct{ Code, Type string } }
	seconds, err := strconv.Atoi(retry)
	if status != 503 || err != nil || seconds < 1 || json.Unmarshal([]byte(body), &e) != nil ||
		e.Error.Code != "worker_down" || e.Error.Type != "unavailable_error" {
		t.Errorf("%s: %d %s, Retry-After %q", what, status, body, retry)
	}
}

// TestAbort lets a worker abort while it answers: those in flight are told, the owner too, and another worker takes
// over.
func TestAbort(t *testing.T) {
	s := begin(t, "serve", nil)
	first := s.ready(t)
	type answer struct {
		status      int
		body, retry string
	}
	hanging, streaming := make(chan answer, 1), make(chan answer, 1)
	for path, c := range map[string]chan answer{"/hang": hanging, "/stream?n=100000": streaming} {
		go func() {
			var a answer
			a.status, a.body, a.retry = s.get(t, path)
			c <- a
		}()
	}
	time.Sleep(200 * time.Millisecond) // for both to be in flight
	status, body, retry := s.get(t, "/abort")
	wantDown(t, "the request that kills", status, body, retry)
	a := <-hanging
	wantDown(t, "a request in flight", a.status, a.body, a.retry)
	a = <-streaming
	events := strings.Split(strings.TrimSuffix(a.body, "\n\n"), "\n\n")
	for i, e := range events[:len(events)-1] {
		if e != fmt.Sprintf("data: %d", i) {
			t.Fatalf("event %d is %q", i, e)
		}
	}
	last, _ := strings.CutPrefix(events[len(events)-1], "data: ")
	if len(events) < 5 || a.status != 200 {
		t.Errorf("a stream of %d events with status %d", len(events), a.status)
	}
	wantDown(t, "the end of a stream", 503, last, "1")

	if second := s.ready(t); second == first {
		t.Error("the worker that aborted answers")
	}
	said := s.words()
	for _, want := range []string{"test:0 (a device)", "after it was ready", "touches memory that is not mapped",
		"conform --device", "503", "1 of 5 times"} {
		if !strings.Contains(said, want) {
			t.Errorf("said %q, which lacks %q", said, want)
		}
	}
	s.stop()
	if err := s.wait(t); err != nil {
		t.Errorf("the end: %v", err)
	}
}

// TestGivesUp kills worker after worker, until none is started again.
func TestGivesUp(t *testing.T) {
	s := begin(t, "serve", func(c *Config) { c.Restarts, c.Backoff = 2, time.Millisecond })
	for range 3 {
		s.ready(t)
		s.get(t, "/abort")
	}
	if err := s.wait(t); !errors.Is(err, ErrWorker) || !strings.Contains(err.Error(), "started 2 times") {
		t.Errorf("the end: %v", err)
	}
	if n := strings.Count(s.words(), "starts again"); n != 2 {
		t.Errorf("%d starts again: %s", n, s.words())
	}
}

// TestFirstStart ends with a worker that never gets ready: what it says by itself is its exit code alone.
func TestFirstStart(t *testing.T) {
	s := begin(t, "abort", nil)
	if err := s.wait(t); !errors.Is(err, ErrWorker) || !strings.Contains(err.Error(), "test:0 (a device)") ||
		!strings.Contains(err.Error(), "before it was ready") {
		t.Errorf("abort: %v", err)
	}
	s = begin(t, "exit", nil)
	var exit *ExitError
	if err := s.wait(t); !errors.As(err, &exit) || exit.Code != 3 {
		t.Errorf("exit: %v", err)
	}
	if s.words() != "" {
		t.Errorf("said %q", s.words())
	}
}

// TestStop lets a stream finish, while the worker is asked to stop.
func TestStop(t *testing.T) {
	s := begin(t, "serve", nil)
	s.ready(t)
	body := make(chan string)
	go func() {
		_, text, _ := s.get(t, "/stream?n=100")
		body <- text
	}()
	time.Sleep(100 * time.Millisecond)
	s.stop()
	if text := <-body; strings.Count(text, "data: ") != 101 || !strings.HasSuffix(text, "data: [DONE]\n\n") {
		t.Errorf("the stream is %q", text)
	}
	if err := s.wait(t); err != nil {
		t.Errorf("the end: %v", err)
	}
	if _, err := http.Get(s.url + "/livez"); err == nil {
		t.Error("the supervisor answers after its end")
	}
}

// TestPassesOn checks that a worker sees requests as the client sent them, and the client's addresses.
func TestPassesOn(t *testing.T) {
	s := begin(t, "serve", nil)
	s.ready(t)
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 { // on one connection
		fmt.Fprintf(c, "POST /echo?a=%%zz&b HTTP/1.1\r\nHost: name.example:1\r\nX-Test: yes\r\nContent-Length: 4\r\n\r\nbody")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		want := fmt.Sprintln(c.LocalAddr(), c.RemoteAddr(), "name.example:1", "a=%zz&b", "yes", "body")
		if string(got) != want {
			t.Errorf("the worker saw %q, want %q", got, want)
		}
	}
}

// TestSlowClients: bodies that do not arrive and answers that nobody reads hold no connection.
func TestSlowClients(t *testing.T) {
	s := begin(t, "serve", func(c *Config) {
		c.ReadTimeout, c.WriteTimeout = 200*time.Millisecond,
			200*time.Millisecond
	})
	s.ready(t)
	for name, request := range map[string]string{
		"body":   "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
		"unread": "POST /pid HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, request)
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection is held", name)
		}
	}
	// longer than both timeouts
	if status, body, _ := s.get(t, "/stream?n=100"); status != 200 || !strings.HasSuffix(body, "[DONE]\n\n") {
		t.Errorf("a stream: %d %q", status, body)
	}
}

// TestStrangers: a worker hangs up on connections that are not its supervisor's.
func TestStrangers(t *testing.T) {
	l, err := net.Listen("unix", "@hipengine-test-"+strconv.Itoa(os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	w := &workerListener{Listener: l}
	go w.Accept()
	defer w.Close()
	c, err := net.Dial("unix", l.Addr().String()) // from this process, which is not its own parent
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// TestDiesWithSupervisor kills a supervisor: its worker ends too.
func TestDiesWithSupervisor(t *testing.T) {
	cmd := exec.Command(os.Args[0], "serve")
	cmd.Env = append(os.Environ(), "SUPERVISE_TEST=supervisor")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	s := &supervised{url: "http://" + strings.TrimSpace(addr)}
	pid, err := strconv.Atoi(s.ready(t))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	for range 500 {
		if syscall.Kill(pid, 0) != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("worker %d outlives its supervisor", pid)
}
