package grammar

import "unicode/utf8"

// byteRange is a range of bytes, both ends included.
type byteRange struct{ lo, hi byte }

// utf8Sequences calls f with sequences of byte ranges that together match exactly the UTF-8 of the code points lo to
// hi, among which are no surrogates.
func utf8Sequences(lo, hi rune, f func([]byteRange)) {
	for _, last := range []rune{0x7F, 0x7FF, 0xFFFF} { // the last code points of 1, 2 and 3 bytes
		if lo <= last && last < hi {
			utf8Sequences(lo, last, f)
			utf8Sequences(last+1, hi, f)
			return
		}
	}
	if hi <= 0x7F {
		f([]byteRange{{byte(lo), byte(hi)}})
		return
	}
	for i := 1; i < utf8.UTFMax; i++ {
		m := rune(1)<<(6*i) - 1 // the bits of the last i bytes
		if lo&^m == hi&^m {
			continue
		}
		if lo&m != 0 {
			utf8Sequences(lo, lo|m, f)
			utf8Sequences((lo|m)+1, hi, f)
			return
		}
		if hi&m != m {
			utf8Sequences(lo, hi&^m-1, f)
			utf8Sequences(hi&^m, hi, f)
			return
		}
	}
	var a, b [utf8.UTFMax]byte
	n := utf8.EncodeRune(a[:], lo)
	utf8.EncodeRune(b[:], hi)
	ranges := make([]byteRange, n)
	for i := range ranges {
		ranges[i] = byteRange{a[i], b[i]}
	}
	f(ranges)
}
