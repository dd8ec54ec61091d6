package serve

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
)

// TestJoinListeners serves two addresses as one, until it is closed.
func TestJoinListeners(t *testing.T) {
	var all []net.Listener
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	j := JoinListeners(all...)
	if j.Addr().String() != all[0].Addr().String() {
		t.Errorf("address %v, want %v", j.Addr(), all[0].Addr())
	}
	served := make(chan error, 1)
	go func() {
		served <- http.Serve(j, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "here") }))
	}()
	for _, l := range all {
		r, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r.Body)
		if r.Body.Close(); err != nil || string(text) != "here" {
			t.Errorf("%v: %q, %v", l.Addr(), text, err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Errorf("served until %v", err)
	}
	for _, l := range all {
		if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
			c.Close()
			t.Errorf("%v is still open", l.Addr())
		}
	}
	if a := JoinListeners(all[0], &publicListener{}).Addr(); IsLocal(a) {
		t.Errorf("%v hides that other machines can come in", a)
	}
}
