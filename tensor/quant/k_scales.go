package quant

// The packing that Q4_K and Q5_K share: eight 6-bit scales and eight 6-bit mins in 12 bytes.
//
//	bytes 0..3   low 6 bits: scale j       top 2 bits: high bits of scale j+4
//	bytes 4..7   low 6 bits: min j         top 2 bits: high bits of min j+4
//	bytes 8..11  low nibble: scale j+4     high nibble: min j+4

// scaleMin returns scale and min number j (0..7) of the 12 bytes b.
func scaleMin(b []byte, j int) (scale, min byte) {
	if j < 4 {
		return b[j] & 63, b[j+4] & 63
	}
	return b[j+4]&15 | b[j-4]>>6<<4, b[j+4]>>4 | b[j]>>6<<4
}

// putScaleMin is the inverse of scaleMin for all eight pairs; values are 0..63.
func putScaleMin(b []byte, scales, mins *[8]byte) {
	for j := range 4 {
		b[j] = scales[j] | scales[j+4]>>4<<6
		b[j+4] = mins[j] | mins[j+4]>>4<<6
		b[j+8] = scales[j+4]&15 | mins[j+4]<<4
	}
}
