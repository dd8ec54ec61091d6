package supervise

import (
	"bytes"
	"errors"
	"io"
)

// maxEvent bounds what is held back of an event that is not complete.
const maxEvent = 1 << 20

// events passes server-sent events on as they become complete. If the source ends with an error, the last one is
// last(), where an incomplete one would have been.
type events struct {
	src  io.ReadCloser
	last func(error) []byte
	buf  []byte // read and not yet returned
	out  int    // bytes of buf that are complete events
	err  error  // of src
}

var eventEnd = []byte("\n\n")

// Read implements io.Reader.
func (e *events) Read(p []byte) (int, error) {
	for e.out == 0 && e.err == nil {
		room := 4 << 10
		e.buf = append(e.buf, make([]byte, room)...)
		var n int
		n, e.err = e.src.Read(e.buf[len(e.buf)-room:])
		e.buf = e.buf[:len(e.buf)-room+n]
		if i := bytes.LastIndex(e.buf, eventEnd); i >= 0 {
			e.out = i + len(eventEnd)
		} else if len(e.buf) > maxEvent {
			e.out = len(e.buf)
		}
		switch {
		case e.err == nil:
		case errors.Is(e.err, io.EOF):
			e.out = len(e.buf)
		default:
			e.buf = append(e.buf[:e.out], e.last(e.err)...)
			e.out, e.err = len(e.buf), io.EOF
		}
	}
	if e.out == 0 {
		return 0, e.err
	}
	n := copy(p, e.buf[:e.out])
	e.buf = append(e.buf[:0], e.buf[n:]...)
	e.out -= n
	return n, nil
}

// Close implements io.Closer.
func (e *events) Close() error { return e.src.Close() }
