package disk

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
)

// magic begins a file and says which format it has.
const magic = "hipengine state 1\n"

// errDamaged marks files that are not what a Store wrote.
var errDamaged = errors.New("the file is damaged")

// header is what a file says before its state.
//
//	magic, identity [32]byte, space [32]byte, tokens u32, floor u32, state u64 (bytes), ids i32 [tokens],
//	SHA-256 of all that, state, SHA-256 of header and state
//
// Numbers are little-endian.
type header struct {
	identity, space [sha256.Size]byte
	ids             []int32
	floor           int
	state           int64
}

const fixedBytes = len(magic) + 2*sha256.Size + 4 + 4 + 8

// maxTokens bounds what a damaged file can make a reader allocate.
const maxTokens = 1 << 24

// size returns the bytes of a file.
func (h *header) size() int64 {
	return int64(fixedBytes) + 4*int64(len(h.ids)) + sha256.Size + h.state + sha256.Size
}

// encode returns the header with its checksum.
func (h *header) encode() []byte {
	b := append([]byte(magic), h.identity[:]...)
	b = append(b, h.space[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(h.ids)))
	b = binary.LittleEndian.AppendUint32(b, uint32(h.floor))
	b = binary.LittleEndian.AppendUint64(b, uint64(h.state))
	for _, id := range h.ids {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// readHeader reads a header and adds it to sum. Errors wrap errDamaged, unless they are those of r.
func readHeader(r io.Reader, sum hash.Hash) (h header, err error) {
	b := make([]byte, fixedBytes)
	read := func(b []byte) error {
		if _, err := io.ReadFull(r, b); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return fmt.Errorf("%w: it is too short", errDamaged)
			}
			return err
		}
		return nil
	}
	if err := read(b); err != nil {
		return h, err
	}
	if !bytes.HasPrefix(b, []byte(magic)) {
		return h, fmt.Errorf("%w: it does not begin with %q", errDamaged, magic)
	}
	at := len(magic)
	at += copy(h.identity[:], b[at:])
	at += copy(h.space[:], b[at:])
	tokens, floor, state := binary.LittleEndian.Uint32(b[at:]), binary.LittleEndian.Uint32(b[at+4:]),
		binary.LittleEndian.Uint64(b[at+8:])
	if tokens == 0 || tokens > maxTokens || floor == 0 || floor > tokens || state > math.MaxInt64/2 {
		return h, fmt.Errorf("%w: a state of %d tokens, from %d on, in %d bytes", errDamaged, tokens, floor, state)
	}
	h.floor, h.state = int(floor), int64(state)
	rest := make([]byte, 4*int(tokens)+sha256.Size)
	if err := read(rest); err != nil {
		return h, err
	}
	ids := rest[:4*tokens]
	want := sha256.New()
	want.Write(b)
	want.Write(ids)
	if !bytes.Equal(want.Sum(nil), rest[4*tokens:]) {
		return h, fmt.Errorf("%w: the checksum of its header is wrong", errDamaged)
	}
	h.ids = make([]int32, tokens)
	for i := range h.ids {
		h.ids[i] = int32(binary.LittleEndian.Uint32(ids[4*i:]))
	}
	sum.Write(b)
	sum.Write(rest)
	return h, nil
}
