package runner

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hipengine/hipengine/tensor"
)

// errSnapshot marks bytes that are no snapshot.
var errSnapshot = errors.New("runner: this is no snapshot")

// maxSnapshotCount bounds the tables, states and parts that a reader believes.
const maxSnapshotCount = 1 << 20

// FileBytes returns how many bytes WriteTo writes.
func (s *Snapshot) FileBytes() int64 {
	n := int64(8 + 8 + 8 + 4 + 4*len(s.first) + 4)
	for _, st := range s.states {
		n += int64(4 + len(st.name) + 4 + 4 + 8*len(st.parts))
		for _, p := range st.parts {
			n += int64(len(p))
		}
	}
	return n
}

// WriteTo writes the snapshot for ReadSnapshot: numbers in little-endian order, texts and parts behind their lengths.
func (s *Snapshot) WriteTo(w io.Writer) (n int64, err error) {
	put := func(b []byte) {
		if err == nil {
			var m int
			m, err = w.Write(b)
			n += int64(m)
		}
	}
	u32 := func(x int) { put(binary.LittleEndian.AppendUint32(nil, uint32(x))) }
	u64 := func(x int) { put(binary.LittleEndian.AppendUint64(nil, uint64(x))) }
	u64(s.len)
	u64(s.context)
	u64(s.recent)
	u32(len(s.first))
	for _, f := range s.first {
		u32(f)
	}
	u32(len(s.states))
	for _, st := range s.states {
		u32(len(st.name))
		put([]byte(st.name))
		u32(int(st.dtype))
		u32(len(st.parts))
		for _, p := range st.parts {
			u64(len(p))
			put(p)
		}
	}
	return n, err
}

// ReadSnapshot reads what WriteTo wrote, of the given number of bytes, of which it never allocates more. Whether it
// fits a runner, Restore says.
func ReadSnapshot(r io.Reader, bytes int64) (*Snapshot, error) {
	left := bytes
	var err error
	get := func(n int64) []byte {
		if err == nil && (n < 0 || n > left) {
			err = fmt.Errorf("%w: it wants %d bytes of %d", errSnapshot, n, left)
		}
		if err != nil {
			return make([]byte, 8)
		}
		left -= n
		b := make([]byte, n)
		_, err = io.ReadFull(r, b)
		return b
	}
	u64 := func() int64 { return int64(binary.LittleEndian.Uint64(get(8))) }
	count := func() int {
		n := int(binary.LittleEndian.Uint32(get(4)))
		if err == nil && n > maxSnapshotCount {
			err = fmt.Errorf("%w: it says %d of something", errSnapshot, n)
		}
		if err != nil {
			return 0
		}
		return n
	}
	s := &Snapshot{}
	length, context, recent := u64(), u64(), u64()
	if err == nil && (length < 0 || context < length || context > 1<<40 || recent < 0 || recent > length) {
		err = fmt.Errorf("%w: %d tokens of %d, the newest from %d on", errSnapshot, length, context, recent)
	}
	s.len, s.context, s.recent = int(length), int(context), int(recent)
	for range count() {
		f := count()
		if err == nil && f > pagesFor(s.len) {
			err = fmt.Errorf("%w: it begins at page %d of %d tokens", errSnapshot, f, s.len)
		}
		s.first = append(s.first, f)
	}
	for range count() {
		st := savedState{name: string(get(int64(count())))}
		st.dtype = tensor.DType(count())
		for range count() {
			if st.parts = append(st.parts, get(u64())); err != nil {
				return nil, err
			}
		}
		s.states = append(s.states, st)
	}
	if err == nil && left != 0 {
		err = fmt.Errorf("%w: %d bytes are left", errSnapshot, left)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}
