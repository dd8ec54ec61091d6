//go:build amd64 && !noasm

package simd

// asmRound writes the tiles of blocks super-blocks (or groups of four blocks) from their panel.
func asmRound(f Format, dst, panel *byte, blocks int) {
	switch f {
	case Q8_0:
		roundQ8_0AMX(dst, panel, blocks)
	case Q4_K, Q5_K:
		roundQ4KAMX(dst, panel, blocks)
	case Q6_K, Codes:
		roundQ6KAMX(dst, panel, blocks)
	}
}

// asmPackFloats writes a column of floats in planes. The level must have tiles.
func asmPackFloats(planes int, dst *byte, x *float32, steps int) {
	switch planes {
	case 1:
		packFloats1AMX(dst, x, steps)
	case 2:
		packFloats2AMX(dst, x, steps)
	case 3:
		packFloats3AMX(dst, x, steps)
	}
}

// asmRepackFloats writes the tiles of 16 rows of floats.
func asmRepackFloats(t FloatType, dst *byte, w *float32, rowBytes, steps int) {
	switch t {
	case F32:
		repackF32AMX(dst, w, rowBytes, steps)
	case F16:
		repackF16AMX(dst, w, rowBytes, steps)
	case BF16:
		repackBF16AMX(dst, w, rowBytes, steps)
	}
}

// asmTilesFloat runs the kernel of t for 32 rows and tiles*32 columns.
func asmTilesFloat(t FloatType, tiles, steps int, w, a *byte, aBytes int, out *float32, outBytes, clear int) {
	switch t {
	case F32:
		tilesF32AMX(tiles, steps, w, a, aBytes, out, outBytes, clear)
	case F16:
		tilesF16AMX(tiles, steps, w, a, aBytes, out, outBytes, clear)
	case BF16:
		tilesBF16AMX(tiles, steps, w, a, aBytes, out, outBytes, clear)
	case Rounded:
		tilesRoundedAMX(tiles, steps, w, a, aBytes, out, outBytes, clear)
	}
}

func asmPackValues(dst *byte, x *float32, rowBytes, steps int) {
	packValuesAMX(dst, x, rowBytes, steps)
}

func asmPackWeights(dst *byte, x *float32, steps int) { packWeightsAMX(dst, x, steps) }
