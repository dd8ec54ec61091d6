package quant

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/hipengine/hipengine/tensor"
)

var negZero = float32(math.Copysign(0, -1))

// dequantOracles are outputs of GGML's scalar dequantizers for 2048 elements of pseudo-random blocks: SHA-256
// prefixes of the blocks and of the float32 output, sum, sum of magnitudes, and the elements listed in
// dequantOracleIndex.
var dequantOracles = []struct {
	name        string
	blocks, out string
	sum, sumAbs float64
	ys          [7]float32
}{
	{"Q4_0", "25631c861fa8609d", "7a0091ba7578a705", -28.9714966, 193.121887,
		[7]float32{0.0859985352, -0.0429992676, 0.128997803, 0.0306854248, -0.0530395508, 0, -0.101165771}},
	{"Q4_1", "ddf4d7a5249915ea", "50af383783dc0099", 402.237427, 402.237427,
		[7]float32{0.191009521, 0.0688171387, 0.278289795, 0.0638275146, 0.0867919922, 0.325286865, 0.126373291}},
	{"Q5_0", "9a5283611fdca5cd", "6a879c20bf95418f", -36.8848572, 385.979279,
		[7]float32{-0.112426758, -0.18737793, 0.281066895, -0.150177002, -0.0512695312, -0.149993896, 0.116531372}},
	{"Q5_1", "12df0cfab7b6e96e", "4239ee451f1329e8", 783.783569, 783.783569,
		[7]float32{0.24671936, 0.679916382, 0.70539856, 0.0581665039, 0.60899353, 0.63218689, 0.0846252441}},
	{"Q8_0", "84ec71cc175af7d3", "619bff2aa4d90885", 130.442444, 2975.38788,
		[7]float32{-0.85534668, -0.42767334, 0.871795654, -0.445220947, -2.05392456, 1.94677734, -2.23338318}},
	{"Q2_K", "2f56a84e56e2fa33", "5e91000fc82ac25b", 220.042206, 527.608612,
		[7]float32{-0.0731658936, 0.0516204834, 0.0630493164, -0.0154571533, 0, 0.321868896, 0.411102295}},
	{"Q3_K", "f90499dd721e6b2d", "a1e53d09c4305436", -26.3278046, 1732.94789,
		[7]float32{-0.568237305, 0.142059326, -0.681884766, -0.170471191, -0.568237305, 1.63165283, negZero}},
	{"Q4_K", "01f4c4ca2e1eb7f0", "975e7e03bd111c64", 9117.05038, 9492.75748,
		[7]float32{4.92863464, 7.72358704, 2.13368225, 7.32043457, 6.96569824, 5.7562561, 4.1651001}},
	{"Q5_K", "98142c98034aa05d", "8cb281a4bb3e242d", 19160.7677, 19364.0078,
		[7]float32{6.40060425, 7.8621521, 14.1955261, 16.0950317, 14.6777344, 10.7720947, 4.2953949}},
	{"Q6_K", "24b05fda681db493", "43ced6dac8455b5f", 1121.31212, 54961.3153,
		[7]float32{17.2053223, -65.9537354, 0.716888428, 74.1152344, 40.9453583, -84.1827393, 10.6343079}},
	{"Q8_K", "ea46a0833cbae89b", "77c82b12c80532eb", 140.599289, 3422.37291,
		[7]float32{2.25357056, -0.325515747, -2.87956238, 0.35055542, 1.95309448, 3.83999634, -1.72692871}},
	{"IQ2_XXS", "883ae669358e150e", "40d2265fc7e1686b", -55.7354717, 1416.38945,
		[7]float32{0.474136353, -0.474136353, -2.54848289, -0.515365601, 0.391677856, -0.262069702, -1.1525631}},
	{"IQ2_XS", "5d1095e2d8b1008b", "61c67ecc8c88a907", -17.2941685, 1700.86613,
		[7]float32{-0.543403625, -0.934654236, -0.571350098, -1.16443634, -1.63021088, -1.95755768, -0.241424561}},
	{"IQ3_XXS", "b4015e2778748c14", "ac06a12495c7f006", 203.086685, 4163.49808,
		[7]float32{-1.53411865, -1.53411865, 0.139465332, 1.75726318, -1.75726318, -3.19747925, -1.46194458}},
	{"IQ1_S", "c617a3efee696814", "6e76678f5e6dea42", 8.79794312, 247.071945,
		[7]float32{0.0328979492, 0.296081543, -0.230285645, 0.272155762, -0.13458252, -0.0405654907, -0.0339031219}},
	{"IQ4_NL", "25631c861fa8609d", "0196ce0ebf3f649a", -344.650833, 2707.39857,
		[7]float32{1.13948059, -0.472991943, 1.91346741, 0.398910522, -0.583435059, 0.0216064453, -1.31515503}},
	{"IQ3_S", "75d7505dc20ed470", "c73b7472668378ae", -86.2922668, 4435.17105,
		[7]float32{-1.27853394, -3.32418823, 3.32418823, -2.64230347, 4.06289673, -1.2625885, -7.78271484}},
	{"IQ2_S", "0af97ed5c0bdfb4a", "7ffc25694de79426", 6.48852348, 2010.70817,
		[7]float32{0.359802246, -1.12438202, -0.407775879, -0.311828613, -1.57413483, 0.568771362, 0.292785645}},
	{"IQ4_XS", "641d506841ed6a8c", "0bdd033a21aa34a8", -3174.27544, 42080.159,
		[7]float32{-6.10961914, -11.7492676, -17.8588867, 8.60900879, 8.60900879, 49.9168396, -7.26013184}},
	{"IQ1_M", "01eeec0a384c268b", "187cec44d7c09714", 0.363479614, 256.809528,
		[7]float32{-0.0546455383, 0.382518768, 0.360660553, -0.0182151794, -0.229511261, -0.0178909302, 0.455692291}},
	{"TQ1_0", "fc2816783829f151", "7e997f6467e9f659", -1.12646484, 31.1237183,
		[7]float32{0.0205230713, 0, -0.0205230713, 0, 0, -0.0301971436, 0}},
	{"TQ2_0", "192d5cf2657ee999", "06736e4b793af092", 19.3587494, 39.3826447,
		[7]float32{0.020614624, 0, 0.041229248, 0, -0.020614624, 0, 0.0175628662}},
	{"MXFP4", "1765d3ab5599ec30", "701167eac94dcc3d", -6.3671875, 1189.27344,
		[7]float32{-0.25, -1, -1, 0.03125, -0.00390625, -0.75, 0.03125}},
	{"NVFP4", "fd1dd340470d50dc", "204b97809d83b143", 16210.0557, 219818.396,
		[7]float32{-14, 21, 0, -12, 0, -432, 384}},
	{"Q1_0", "b252f521684d21da", "a25beaf58a2bdd9a", -0.926025391, 48.4160156,
		[7]float32{-0.0217285156, -0.0217285156, 0.0217285156, 0.0217285156, -0.0263824463, -0.0289001465,
			-0.0297851562}},
	{"Q2_0", "36554d63a34aa3f3", "ee369ae6d72b4186", 22.9152527, 46.2533264,
		[7]float32{-0.0193481445, 0.0386962891, 0.0193481445, -0.0222015381, -0.0171966553, 0.0283203125,
			0.0204925537}},
}

var dequantOracleIndex = [7]int{0, 1, 17, 100, 255, 1000, 2047}

// halfFields are the offsets of the binary16 scales (and mins) in the blocks of each type that has any.
var halfFields = map[string][]int{
	"Q4_0":    {0},
	"Q4_1":    {0, 2},
	"Q5_0":    {0},
	"Q5_1":    {0, 2},
	"Q8_0":    {0},
	"Q2_K":    {80, 82},
	"Q3_K":    {108},
	"Q4_K":    {0, 2},
	"Q5_K":    {0, 2},
	"Q6_K":    {208},
	"IQ2_XXS": {0},
	"IQ2_XS":  {0},
	"IQ3_XXS": {0},
	"IQ1_S":   {0},
	"IQ4_NL":  {0},
	"IQ3_S":   {0},
	"IQ2_S":   {0},
	"IQ4_XS":  {0},
	"TQ1_0":   {52},
	"TQ2_0":   {64},
	"Q1_0":    {0},
	"Q2_0":    {0},
	"Q8_1":    {0, 2},
}

// setHalves sets the binary16 scales of a block to the values of next. IQ1_M scatters the bits of its only one.
func setHalves(name string, block []byte, next func() uint16) {
	for _, o := range halfFields[name] {
		binary.LittleEndian.PutUint16(block[o:], next())
	}
	if name == "IQ1_M" {
		v := next()
		for k := range 4 {
			top := &block[48+2*k+1]
			*top = *top&15 | byte(v>>(4*k)&15)<<4
		}
	}
}

// tame makes the scales of a block tame, as the oracles have them.
func tame(name string, block []byte, g *lcg) {
	switch name {
	case "Q8_K":
		d := (1 + float32(g.nx()&1023)/1024) / 64
		binary.LittleEndian.PutUint32(block, math.Float32bits(d))
	case "MXFP4":
		block[0] = 120 + block[0]&7
	case "NVFP4":
		for i := range 4 {
			block[i] &= 0x7F
		}
	default:
		setHalves(name, block, func() uint16 { return uint16(0x2400 | g.nx()&0x3FF) })
	}
}

// oracleBlocks returns the input blocks of an oracle.
func oracleBlocks(f tensor.Format) []byte {
	g := lcg(1)
	b := make([]byte, 2048/f.Block*f.Bytes)
	for i := range b {
		b[i] = byte(g.nx())
	}
	for o := 0; o < len(b); o += f.Bytes {
		tame(f.Name, b[o:o+f.Bytes], &g)
	}
	return b
}

func TestDequantOracles(t *testing.T) {
	for _, c := range dequantOracles {
		t.Run(c.name, func(t *testing.T) {
			d, ok := tensor.ParseDType(c.name)
			if !ok {
				t.Fatalf("type %s is not registered", c.name)
			}
			f, _ := d.Format()
			blocks := oracleBlocks(f)
			if got := sha16(blocks); got != c.blocks {
				t.Fatalf("the test made the wrong blocks: hash %s, want %s", got, c.blocks)
			}
			y := make([]float32, 2048)
			if err := Dequantize(d, y, blocks); err != nil {
				t.Fatal(err)
			}
			for i, want := range c.ys {
				// The listed values have nine digits, which tell all float32 apart.
				if at := dequantOracleIndex[i]; math.Float32bits(y[at]) != math.Float32bits(want) {
					t.Errorf("y[%d] = %v, want %v", at, y[at], want)
				}
			}
			if got := sha16(floatBytes(y)); got != c.out {
				t.Errorf("output hash %s, want %s", got, c.out)
			}
			var sum, sumAbs float64
			for _, v := range y {
				sum += float64(v)
				sumAbs += math.Abs(float64(v))
			}
			// The listed sums have nine digits.
			if math.Abs(sum-c.sum) > 1e-8*sumAbs || math.Abs(sumAbs-c.sumAbs) > 1e-8*sumAbs {
				t.Errorf("sums %.9g, %.9g, want %.9g, %.9g", sum, sumAbs, c.sum, c.sumAbs)
			}
		})
	}
}

// TestDequantScales checks that elements are the products of the scales and what the codes say, whatever the
// scales are: powers of two multiply exactly, and NaN and infinities come through.
func TestDequantScales(t *testing.T) {
	const one = 0x3C00
	for _, f := range tensor.Formats() {
		if halfFields[f.Name] == nil && f.Name != "IQ1_M" {
			continue
		}
		dequant := func(h uint16) []float32 {
			blocks, y := oracleBlocks(f), make([]float32, 2048)
			for o := 0; o < len(blocks); o += f.Bytes {
				setHalves(f.Name, blocks[o:][:f.Bytes], func() uint16 { return h })
			}
			f.Dequant(y, blocks)
			return y
		}
		unit := dequant(one)
		for _, c := range []struct {
			name   string
			h      uint16
			factor float32
		}{
			{"zero", 0, 0},
			{"negative zero", 0x8000, 0},
			{"negative", 0xBC00, -1},
			{"least subnormal", 1, 0x1p-24},
			{"negative subnormal", 0x8200, -0x1p-15},
			{"largest power", 0x7800, 0x1p15},
		} {
			t.Run(f.Name+"/"+c.name, func(t *testing.T) {
				for i, y := range dequant(c.h) {
					if y != c.factor*unit[i] {
						t.Fatalf("y[%d] = %v, want %v * %v", i, y, c.factor, unit[i])
					}
				}
			})
		}
		for name, h := range map[string]uint16{"infinity": 0x7C00, "NaN": 0x7E00, "signaling NaN": 0xFC01} {
			t.Run(f.Name+"/"+name, func(t *testing.T) {
				for i, y := range dequant(h) {
					if finite(y) {
						t.Fatalf("y[%d] = %v is finite", i, y)
					}
				}
			})
		}
	}
}

func finite(x float32) bool { return abs(x) <= math.MaxFloat32 }

// TestDequantEveryByte checks that blocks of one repeated byte, all-zero and all-one codes among them, never make a
// dequantizer panic, and that it writes every element and nothing else.
func TestDequantEveryByte(t *testing.T) {
	for _, f := range tensor.Formats() {
		if f.Dequant == nil {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			src := make([]byte, 2*f.Bytes)
			y, again := make([]float32, 2*f.Block+1), make([]float32, 2*f.Block+1)
			for b := range 256 {
				for i := range src {
					src[i] = byte(b)
				}
				for i := range y {
					y[i], again[i] = 1, 2
				}
				f.Dequant(y[:2*f.Block], src)
				f.Dequant(again[:2*f.Block], src)
				if y[2*f.Block] != 1 {
					t.Fatal("wrote beyond the blocks")
				}
				for i, v := range y[:2*f.Block] {
					if math.Float32bits(v) != math.Float32bits(again[i]) {
						t.Fatalf("byte %#x: element %d depends on what dst held: %v, %v", b, i, v, again[i])
					}
					// A zero byte is the E8M0 scale 2^-127: MXFP4 codes 0 are zero all the same.
					if b == 0 && v != 0 {
						t.Fatalf("element %d of a zero block is %v", i, v)
					}
				}
			}
		})
	}
}
