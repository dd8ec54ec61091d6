package cast

import "unsafe"

// align is the alignment of what Bytes returns: a cache line, and the widest vector.
const align = 64

// Bytes returns n zeroed bytes, aligned to a cache line.
func Bytes(n int64) []byte {
	if n == 0 {
		return nil
	}
	b := make([]byte, n+align-1)
	skip := -uintptr(unsafe.Pointer(&b[0])) % align
	return b[skip : skip+uintptr(n) : skip+uintptr(n)]
}

// Of returns b seen as elements of type E in the machine's byte order, which is little-endian on all supported
// platforms. b must start at a multiple of E's size, as slices of Bytes at aligned offsets do.
func Of[E float32 | float64 | int32 | uint16 | uint64](b []byte) []E {
	var e E
	n := uintptr(len(b)) / unsafe.Sizeof(e)
	if n == 0 {
		return nil
	}
	if uintptr(unsafe.Pointer(&b[0]))%unsafe.Sizeof(e) != 0 {
		panic("cast: misaligned bytes")
	}
	return unsafe.Slice((*E)(unsafe.Pointer(&b[0])), n)
}

// AsBytes returns the bytes of s.
func AsBytes[E float32 | float64 | int32 | uint16](s []E) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), uintptr(len(s))*unsafe.Sizeof(s[0]))
}

// Overlap reports whether x and y have memory in common.
func Overlap(x, y []byte) bool {
	if len(x) == 0 || len(y) == 0 {
		return false
	}
	a, b := uintptr(unsafe.Pointer(&x[0])), uintptr(unsafe.Pointer(&y[0]))
	return a < b+uintptr(len(y)) && b < a+uintptr(len(x))
}
