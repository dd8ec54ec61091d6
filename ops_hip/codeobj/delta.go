package codeobj

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Kernels for targets of one family differ in few places, so that a target's objects can be kept as what they differ
// in from another's. A delta is
//
//	uvarint n, then n bytes of steps, then all literals
//
// where a step is three varints: how many literals come next, how many bytes of the base follow them, and how much
// further than in the step before these lie ahead of their place in the result.

// chunk is the least that is copied.
const chunk = 16

// alignment returns where chunks may begin: instructions have 4 bytes, text any number.
func alignment(object []byte) int {
	if bytes.HasPrefix(object, []byte("\x7fELF")) {
		return 4
	}
	return 1
}

// maxObject bounds what a delta says to make.
const maxObject = 64 << 20

// Delta returns a delta of which Patch makes object from base.
func Delta(base, object []byte) []byte {
	step := alignment(object)
	at := map[[chunk]byte]int{} // where a chunk is in base, the first place
	for i := 0; i+chunk <= len(base); i += step {
		c := [chunk]byte(base[i:])
		if _, ok := at[c]; !ok {
			at[c] = i
		}
	}
	var steps, literals []byte
	begin, ahead := 0, 0 // of the literals; of the last copy
	for i := 0; i+chunk <= len(object); {
		c := [chunk]byte(object[i:])
		from, ok := at[c]
		if !ok {
			i += step
			continue
		}
		if on := i + ahead; on >= 0 && on+chunk <= len(base) && [chunk]byte(base[on:]) == c {
			from = on
		}
		n := chunk
		for i+n < len(object) && from+n < len(base) && object[i+n] == base[from+n] {
			n++
		}
		n -= n % step // so that what comes next is looked for where it may begin
		literals = append(literals, object[begin:i]...)
		steps = binary.AppendUvarint(steps, uint64(i-begin))
		steps = binary.AppendUvarint(steps, uint64(n))
		steps = binary.AppendVarint(steps, int64(from-i-ahead))
		i, begin, ahead = i+n, i+n, from-i
	}
	literals = append(literals, object[begin:]...)
	return append(append(binary.AppendUvarint(nil, uint64(len(steps))), steps...), literals...)
}

// Patch returns the object that delta makes from base. It fails if delta is damaged or of another base that is
// shorter; what else is wrong shows in the hash of the object alone.
func Patch(base, delta []byte) ([]byte, error) {
	size, n := binary.Uvarint(delta)
	if n <= 0 || size > uint64(len(delta)-n) {
		return nil, errors.New("codeobj: a delta without its steps")
	}
	steps, literals := delta[n:][:size], delta[n:][size:]
	var out []byte
	var ahead int64
	for len(steps) > 0 {
		lit, a := binary.Uvarint(steps)
		count, b := binary.Uvarint(steps[max(a, 0):])
		further, c := binary.Varint(steps[max(a, 0)+max(b, 0):])
		if a <= 0 || b <= 0 || c <= 0 || lit > uint64(len(literals)) || count > uint64(len(base)) {
			return nil, fmt.Errorf("codeobj: a delta is damaged behind %d bytes of the object", len(out))
		}
		steps = steps[a+b+c:]
		out, literals = append(out, literals[:lit]...), literals[lit:]
		ahead += further
		from := int64(len(out)) + ahead
		if from < 0 || from > int64(len(base))-int64(count) || uint64(len(out))+count > maxObject {
			return nil, fmt.Errorf("codeobj: a delta copies %d bytes at %d of a base of %d", count, from, len(base))
		}
		out = append(out, base[from:][:count]...)
	}
	return append(out, literals...), nil
}
