package hub

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"github.com/hipengine/hipengine/internal/hubtest"
)

// TestRemote reads pieces of files on a hub, of which no more than their blocks come.
func TestRemote(t *testing.T) {
	data := random(5<<20+123, 1)
	for _, noRanges := range []bool{false, true} {
		h := hubtest.New(t, map[string][]byte{"b-Q4_0.gguf": data, "b-Q8_0-00001-of-00002.gguf": random(2000, 2),
			"b-Q8_0-00002-of-00002.gguf": nil})
		h.NoRanges = noRanges
		var sent atomic.Int64
		h.Served = func(n int) { sent.Add(int64(n)) }
		client, _ := testClient(h)
		files, err := client.Remote(t.Context(), mustRef(t, "hf:a/b:Q4_0"))
		if err != nil || len(files) != 1 || files[0].Size != int64(len(data)) || files[0].Path != "b-Q4_0.gguf" {
			t.Fatalf("%+v, %v", files, err)
		}
		for _, at := range []int64{0, 10, 1<<20 - 5, 5 << 20} {
			p := make([]byte, 100)
			if n, err := files[0].ReadAt(p, at); n != 100 || err != nil || !bytes.Equal(p, data[at:at+100]) {
				t.Errorf("at %d: %d bytes, %v", at, n, err)
			}
		}
		if n, err := files[0].ReadAt(make([]byte, 100), files[0].Size-7); n != 7 || !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %d bytes, %v", n, err)
		}
		if _, err := files[0].ReadAt(make([]byte, 1), -1); err == nil {
			t.Error("no error before the beginning")
		}
		if n := sent.Load(); !noRanges && n != 2<<20+123 {
			t.Errorf("%d bytes came", n)
		}
		if files, err = client.Remote(t.Context(), mustRef(t, "hf:a/b:Q8_0")); err != nil || len(files) != 2 {
			t.Errorf("%v, %v", files, err)
		}
	}
}
