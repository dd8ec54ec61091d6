package quant

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
)

// lcg is the generator behind all oracle vectors: a 64-bit linear congruential generator of which the upper
// 31 bits are used.
type lcg uint64

func (s *lcg) nx() uint32 {
	*s = *s*6364136223846793005 + 1442695040888963407
	return uint32(*s >> 33)
}

// sha16 returns the first 16 hex digits of the SHA-256 of b.
func sha16(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:8])
}

// floatBytes returns the little-endian bytes of xs.
func floatBytes(xs []float32) []byte {
	var b []byte
	for _, x := range xs {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}
