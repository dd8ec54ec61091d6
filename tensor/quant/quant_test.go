package quant

import (
	"math"
	"testing"

	"github.com/hipengine/hipengine/tensor"
)

// quantOracles are the outputs of GGML's quantizers for the input of [oracleWeights]: block bytes, error without
// and with an importance matrix, error weighted by that matrix, and SHA-256 prefixes of the blocks. Types that
// require the matrix have no plain values.
var quantOracles = []struct {
	name                     string
	bytes                    int
	plain, imatrix, wImatrix float64
	plainHash, imatrixHash   string
}{
	{"Q4_0", 9216, 3.243219e-03, 3.142247e-03, 3.107409e-03, "b888744785bb6a09", "3b16faf08216846c"},
	{"Q4_1", 10240, 2.661907e-03, 2.433828e-03, 2.358360e-03, "ff4936c6f795641c", "1bb4a18f2977b1b5"},
	{"Q5_0", 11264, 1.630472e-03, 1.587629e-03, 1.556276e-03, "19ef5645b3b437f7", "8cb386913dd81795"},
	{"Q5_1", 12288, 1.288031e-03, 1.161521e-03, 1.123137e-03, "9982d011216949a5", "424e7e24e88b9050"},
	{"Q8_0", 17408, 2.049118e-04, 2.049118e-04, 2.050444e-04, "30e46164f6c542a3", "30e46164f6c542a3"},
	{"Q2_K", 5376, 9.985237e-03, 9.063478e-03, 8.669772e-03, "05ea417c1565c5d4", "a1d79197d6dafc88"},
	{"Q3_K", 7040, 5.296371e-03, 5.164293e-03, 5.041948e-03, "3449a1749273dfbd", "83ad626beb611b04"},
	{"Q4_K", 9216, 2.476941e-03, 2.479347e-03, 2.407832e-03, "04adcd9403c5a615", "8eb4d6696dbded51"},
	{"Q5_K", 11264, 1.248766e-03, 1.235503e-03, 1.210397e-03, "837451fd4f069911", "1b802ea3ee8d487c"},
	{"Q6_K", 13440, 6.406006e-04, 6.380302e-04, 6.248390e-04, "936aaf182f1760fa", "32d3e40a918b2365"},
	{"IQ3_XXS", 6272, 7.376163e-03, 6.381079e-03, 5.959405e-03, "066ff3c16a058c9d", "2cf819ee3b37e5d3"},
	{"IQ4_NL", 9216, 2.719513e-03, 2.692814e-03, 2.636633e-03, "6fb3a195647e64f2", "203274e04edf1cc1"},
	{"IQ3_S", 7040, 5.758456e-03, 4.921977e-03, 4.690319e-03, "35daf963fede5c75", "bbb104b8e177db26"},
	{"IQ2_S", 5248, 9.338291e-03, 8.902580e-03, 8.591096e-03, "d4e543d6f35daef9", "abfe917506273e53"},
	{"IQ4_XS", 8704, 2.758543e-03, 2.737340e-03, 2.687439e-03, "1ab5d2e6c777eb97", "8ad43087bd4255cc"},
	{"IQ1_M", 3584, 1.906878e-02, 1.571493e-02, 1.472054e-02, "a9310c2d030f8ff7", "050d1e67917fbc9c"},
	{"TQ1_0", 3456, 2.828983e-02, 2.828983e-02, 2.823675e-02, "8211e71c98a249d5", "8211e71c98a249d5"},
	{"TQ2_0", 4224, 2.828983e-02, 2.828983e-02, 2.823675e-02, "60e49dd0d2a841c4", "60e49dd0d2a841c4"},
	{"MXFP4", 8704, 3.935860e-03, 3.935860e-03, 3.960198e-03, "ccadf64e58e37273", "ccadf64e58e37273"},
	{"NVFP4", 9216, 3.027423e-03, 3.027423e-03, 3.024553e-03, "0e12e597199db815", "0e12e597199db815"},
	{"Q1_0", 2304, 1.997395e-02, 1.997395e-02, 2.007298e-02, "1383d19d2659821f", "1383d19d2659821f"},
	{"Q2_0", 4608, 2.332539e-02, 2.332539e-02, 2.326649e-02, "d39a622aea8e7721", "d39a622aea8e7721"},
	{"IQ2_XXS", 4224, 0, 1.220417e-02, 1.159761e-02, "", "90dc17dcbb06126c"},
	{"IQ2_XS", 4736, 0, 1.035927e-02, 9.826340e-03, "", "86a70cacb5cd9e77"},
	{"IQ1_S", 3200, 0, 1.776591e-02, 1.687503e-02, "", "be569f796a906aff"},
}

// oracleWeights returns 16 rows of 1024 weights, with an outlier every 97 elements, and the importance of the columns.
func oracleWeights() (x, importance []float32) {
	g := lcg(12345)
	draw := func() float64 { return float64(g.nx()&0xFFFFFF) / (1 << 24) }
	for i := range 16 * 1024 {
		v := float32((draw() + draw() + draw() + draw() - 2) * 0.05)
		if i%97 == 5 {
			v *= 4
		}
		x = append(x, v)
	}
	for range 1024 {
		importance = append(importance, float32(0.25+2*draw()))
	}
	return x, importance
}

func TestQuantOracles(t *testing.T) {
	x, importance := oracleWeights()
	if x[0] != 0.0164819416 || x[16383] != 0.00775016239 || importance[0] != 0.653053999 {
		t.Fatalf("the test made the wrong input: %v %v %v", x[0], x[16383], importance[0])
	}
	for _, c := range quantOracles {
		d, ok := tensor.ParseDType(c.name)
		if !ok {
			t.Fatalf("type %s is not registered", c.name)
		}
		// check quantizes and compares the error, to know how bad a wrong byte is, and the bytes.
		check := func(name string, imatrix []float32, rmse, wrmse float64, hash string) {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				blocks := make([]byte, c.bytes)
				if err := Quantize(d, blocks, x, 1024, imatrix); err != nil {
					t.Fatal(err)
				}
				y := make([]float32, len(x))
				if err := Dequantize(d, y, blocks); err != nil {
					t.Fatal(err)
				}
				var e, we, sw float64
				for i := range x {
					diff := float64(x[i]) - float64(y[i])
					w := float64(importance[i%1024])
					e += diff * diff
					we += w * diff * diff
					sw += w
				}
				ratio := math.Sqrt(e/float64(len(x))) / rmse
				const sevenDigits = 5e-7 // that the listed errors have
				if !(math.Abs(ratio-1) < sevenDigits) {
					t.Errorf("error is %.7f times GGML's", ratio)
				}
				if imatrix != nil {
					if ratio := math.Sqrt(we/sw) / wrmse; !(math.Abs(ratio-1) < sevenDigits) {
						t.Errorf("weighted error is %.7f times GGML's", ratio)
					}
				}
				if got := sha16(blocks); got != hash {
					t.Errorf("blocks have hash %s, GGML's have %s", got, hash)
				}
			})
		}
		if c.plain != 0 {
			check("plain", nil, c.plain, 0, c.plainHash)
		}
		check("imatrix", importance, c.imatrix, c.wImatrix, c.imatrixHash)
	}
}
