package tokenizer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf8"
)

// charsmap is the table of replacements that SentencePiece compiles for its normalization: a trie of byte strings in a
// double array (Darts), whose values are places in a list of texts that end with a zero byte.
//
//	u32      bytes of the array
//	u32...   the array: of a node, bits 0 to 7 and 31 are its label, bit 8 says that it has a value, bits 10 to 30 are
//	         the distance to its children, times 256 if bit 9 is set; a value's own node has bit 31 set and the value in
//	         the other bits
//	bytes    the texts
type charsmap struct {
	units []uint32
	texts []byte
	raw   []byte
}

// maxCharsmap bounds a table; published ones have a quarter of a megabyte.
const maxCharsmap = 16 << 20

// newCharsmap reads a table.
func newCharsmap(b []byte) (*charsmap, error) {
	if len(b) < 4 || len(b) > maxCharsmap {
		return nil, errors.New("the precompiled table of normalizations is cut short, or larger than 16 MiB")
	}
	n := int64(binary.LittleEndian.Uint32(b))
	if n%4 != 0 || n == 0 || n > int64(len(b)-4) {
		return nil, errors.New("the precompiled table of normalizations has an array of a wrong size")
	}
	m := &charsmap{units: make([]uint32, n/4), texts: b[4+n:], raw: b}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(b[4+4*i:])
	}
	return m, nil
}

// find returns the replacement of the longest key that begins s, and the key's length, 0 if there is none.
func (m *charsmap) find(s string) (text []byte, length int) {
	distance := func(unit uint32) uint32 { return unit >> 10 << (unit >> 6 & 8) }
	at := distance(m.units[0])
	for i := range len(s) {
		at ^= uint32(s[i])
		if int64(at) >= int64(len(m.units)) {
			break
		}
		unit := m.units[at]
		if unit&(1<<31|0xff) != uint32(s[i]) {
			break
		}
		at ^= distance(unit)
		if unit>>8&1 == 0 || int64(at) >= int64(len(m.units)) {
			continue
		}
		if place := m.units[at] &^ (1 << 31); int64(place) < int64(len(m.texts)) {
			text, length = m.texts[place:], i+1
		}
	}
	if end := bytes.IndexByte(text, 0); end >= 0 {
		text = text[:end]
	}
	return text, length
}

// apply replaces what the table has, the longest key first at each place.
func (m *charsmap) apply(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for len(s) > 0 {
		text, n := m.find(s)
		if n > 0 {
			b.Write(text)
		} else {
			_, n = utf8.DecodeRuneInString(s)
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return validUTF8(b.String())
}
