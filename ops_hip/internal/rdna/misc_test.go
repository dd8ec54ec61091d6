package rdna

import (
	"context"
	"encoding/binary"
	"math"
	"testing"
)

func TestRoPE(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		b := load(t, target, "misc")
		const heads, positions, pos = 2, 3, 5
		x := floats(rng(6), positions*heads*64)
		p := up(b, x)
		b.must("rope", 32, []uint32{heads, positions}, p, pos, float32(math.Log2(10000)), heads)
		want := make([]float64, len(x))
		for i := range want {
			row, d := i/64, i%64
			a := float64(pos+row/heads) * math.Pow(10000, -float64(d%32)/32)
			lo, hi := float64(x[row*64+d%32]), float64(x[row*64+d%32+32])
			if d < 32 {
				want[i] = lo*math.Cos(a) - hi*math.Sin(a)
			} else {
				want[i] = lo*math.Sin(a) + hi*math.Cos(a)
			}
		}
		closeTo(t, "x", down[float32](b, p, len(x)), want, 2e-6, 1) // the angle is an f32 of up to 7 turns
	})
}

func TestElementwise(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		b := load(t, target, "misc")
		r := rng(7)
		const n = 300
		g, u := floats(r, n), floats(r, n)
		y := up(b, make([]float32, n))
		b.must("silu_mul", 256, []uint32{2}, up(b, g), up(b, u), y, n)
		want := make([]float64, n)
		for i := range want {
			want[i] = float64(g[i]) / (1 + math.Exp(-float64(g[i]))) * float64(u[i])
		}
		closeTo(t, "silu", down[float32](b, y, n), want, 1e-6, 0)

		out := up(b, []int32{0})
		g[77], g[202] = 9, 9
		b.must("argmax", 32, nil, up(b, g), out, n)
		if got := down[int32](b, out, 1)[0]; got != 77 {
			t.Errorf("argmax = %d, want the first of two maxima, 77", got)
		}
	})
}

func TestScratchMemory(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		b := load(t, target, "misc")
		r := rng(8)
		x, perm := floats(r, 64*32), make([]int32, 32)
		for i := range perm {
			perm[i] = int32(r.IntN(32))
		}
		const k = 40
		y := up(b, make([]float32, 64))
		s := b.must("scratch", 64, nil, up(b, x), up(b, perm), y, k)
		for i, got := range down[float32](b, y, 64) {
			v := append([]float32{}, x[i*32:i*32+32]...)
			var want float32
			for j := range k {
				p := perm[(i+j)&31]
				want += v[p]
				v[p] = -v[p]
			}
			if got != want {
				t.Fatalf("y[%d] = %v, want %v", i, got, want)
			}
		}
		if s.ScratchStoreBytes == 0 || s.ScratchLoadBytes == 0 {
			t.Errorf("scratch traffic was not counted: %+v", s)
		}
	})
}

func TestGlobalAtomics(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		b := load(t, target, "misc")
		const n = 200
		r := rng(9)
		x := make([]uint32, n)
		var count [9]uint32
		var sum float32
		var big uint64
		count[8] = 12345
		x[100] = 12345 // the compare-and-swap hits once
		for i := range x {
			if i != 100 {
				x[i] = r.Uint32N(10000)
			}
			count[x[i]&7]++
			sum += float32(x[i] & 15)
			big = max(big, uint64(x[i])<<8|uint64(i))
		}
		count[8] = 77
		start := make([]uint32, 9)
		start[8] = 12345
		pc, ps, pb, pt := up(b, start), up(b, []float32{0}), up(b, []uint64{0}), up(b, make([]uint32, n+1))
		b.must("histogram", 64, []uint32{4}, up(b, x), pc, ps, pb, pt, n)
		for i, c := range down[uint32](b, pc, 9) {
			if c != count[i] {
				t.Errorf("count[%d] = %d, want %d", i, c, count[i])
			}
		}
		if got := down[float32](b, ps, 1)[0]; got != sum {
			t.Errorf("sum = %v, want %v", got, sum)
		}
		if got := down[uint64](b, pb, 1)[0]; got != big {
			t.Errorf("max = %d, want %d", got, big)
		}
		seen := map[uint32]bool{}
		for _, k := range down[uint32](b, pt, n) {
			seen[k] = true
		}
		if len(seen) != n {
			t.Errorf("%d distinct tickets of %d: fetch_add returned a value twice", len(seen), n)
		}
	})
}

func TestQuantize(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		b := load(t, target, "misc")
		const blocks = 5
		x := floats(rng(10), blocks*32)
		clear(x[32:64]) // a block of zeros has scale 0
		y := up(b, make([]byte, blocks*36))
		b.must("quantize_q8_1", 128, []uint32{2}, up(b, x), y, blocks)
		got := down[byte](b, y, blocks*36)
		for k := range blocks {
			var m float32
			for _, v := range x[k*32 : k*32+32] {
				m = max(m, float32(math.Abs(float64(v))))
			}
			d := m / 127
			id := float32(0)
			if d != 0 {
				id = 1 / d
			}
			sum := 0
			for i, v := range x[k*32 : k*32+32] {
				q := int(math.RoundToEven(float64(v * id)))
				sum += q
				if g := int8(got[k*36+4+i]); int(g) != q {
					t.Fatalf("block %d value %d: %d, want %d", k, i, g, q)
				}
			}
			if h := binary.LittleEndian.Uint16(got[k*36:]); h != f16bits(float64(d)) {
				t.Errorf("block %d: scale %#x, want %#x", k, h, f16bits(float64(d)))
			}
			if h := binary.LittleEndian.Uint16(got[k*36+2:]); h != f16bits(float64(d*float32(sum))) {
				t.Errorf("block %d: sum %#x, want %#x", k, h, f16bits(float64(d*float32(sum))))
			}
		}
	})
}

func TestDispatchABI(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		b := load(t, target, "misc")
		y := up(b, make([]uint32, 3*256*2))
		b.must("hidden", 256, []uint32{3}, y)
		for i, v := range down[uint32](b, y, 3*256*2) {
			if want := []uint32{256, 768}[i&1]; v != want {
				t.Fatalf("hidden argument %d of item %d = %d, want %d", i&1, i/2, v, want)
			}
		}

		x := floats(rng(11), 64)
		p := up(b, make([]float32, 64))
		_, err := b.mod.Launch(context.Background(), "reverse", [3]uint32{1, 1, 1}, [3]uint32{64, 1, 1}, 256,
			args(up(b, x), p), everything)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range down[float32](b, p, 64) {
			if v != x[63-i]+1 {
				t.Fatalf("dynamic LDS: y[%d] = %v, want %v", i, v, x[63-i]+1)
			}
		}

		const groups = 3 * 2 * 2
		y = up(b, make([]uint32, groups*64))
		b.must("lds_mix", 64, []uint32{3, 2, 2}, y)
		got := down[uint32](b, y, groups*64)
		for g := range groups {
			gx, gy, gz := uint32(g%3), uint32(g/3%2), uint32(g/6)
			for i := uint32(0); i < 64; i++ {
				want := uint32(uint16((63-i)*1001)) + (i^1)*7&255*65536 + 1 + gx + 2*gy + 4*gz
				if i == 0 {
					want = 63000 // the maximum; later increments by lanes of the other wave may add to it
				}
				if v := got[g*64+int(i)]; v != want && !(i == 0 && v >= want && v <= want+16) {
					t.Fatalf("group %d item %d: %d, want %d", g, i, v, want)
				}
			}
		}
	})
}

func TestCalls(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		b := load(t, target, "misc")
		x := floats(rng(12), 32)
		y := up(b, make([]float32, 32))
		for which := range 2 {
			b.must("calls", 32, nil, up(b, x), y, which)
			for i, v := range down[float32](b, y, 32) {
				want := x[i] * 2 / 3
				if which == 1 {
					want = x[i]*2 + x[i]/3
				}
				if v != want {
					t.Fatalf("calls(%d)[%d] = %v, want %v", which, i, v, want)
				}
			}
		}
	})
}

// awkward are floats on which division and roots are easily wrong.
func awkward(n int, seed uint64) []float32 {
	s := floats(rng(seed), n)
	special := []uint32{0, 0x80000000, 1, 0x80000001, 0x007fffff, 0x00800000, 0x7f7fffff, 0xff7fffff, 0x7f800000,
		0xff800000,
		0x7fc00000, 0x3f800000, 0x3f7fffff, 0x3f800001, 0x00400000, 0x7e800000, 0x01000000, 0x7f000000, 0x34000000}
	r := rng(seed + 100)
	for i := range s {
		switch i % 3 {
		case 0:
			s[i] = math.Float32frombits(special[r.IntN(len(special))])
		case 1:
			s[i] = math.Float32frombits(r.Uint32())
		}
	}
	return s
}

// same compares bits, with all NaNs equal.
func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

func TestDivision(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		b := load(t, target, "arith")
		const n = 6000
		a, c := awkward(n, 13), awkward(n, 14)
		q, root := up(b, make([]float32, n)), up(b, make([]float32, n))
		b.must("divide", 64, []uint32{(n + 63) / 64}, up(b, a), up(b, c), q, root, n)
		gq, gr := down[float32](b, q, n), down[float32](b, root, n)
		for i := range a {
			if want := a[i] / c[i]; !same(gq[i], want) {
				t.Errorf("%v / %v = %v, want %v", a[i], c[i], gq[i], want)
			}
			if want := float32(math.Sqrt(math.Abs(float64(a[i])))); !same(gr[i], want) {
				t.Errorf("sqrt(%v) = %v, want %v", a[i], gr[i], want)
			}
			if t.Failed() && i > 20 {
				break
			}
		}
		da, db := make([]float64, n), make([]float64, n)
		r := rng(15)
		for i := range da {
			da[i], db[i] = float64(a[i])*math.Ldexp(r.Float64(), r.IntN(1600)-800), float64(c[i])*(1+r.Float64())
			if i&1 == 0 {
				da[i], db[i] = r.NormFloat64(), r.NormFloat64()
			}
		}
		q64, f64 := up(b, make([]float64, n)), up(b, make([]float64, n))
		b.must("divide64", 64, []uint32{(n + 63) / 64}, up(b, da), up(b, db), q64, f64, n)
		g64, h64 := down[float64](b, q64, n), down[float64](b, f64, n)
		for i := range da {
			want := da[i] / db[i]
			if math.Abs(want) < 0x1p-1021 && want != 0 { // the scaling back of a denormal quotient rounds twice
				continue
			}
			if g64[i] != want && !(g64[i] != g64[i] && want != want) {
				t.Fatalf("%v / %v = %v, want %v", da[i], db[i], g64[i], want)
			}
			if want := math.FMA(da[i], db[i], da[i]-db[i]); h64[i] != want && !(h64[i] != h64[i] && want != want) {
				t.Fatalf("fma(%v, %v) = %v, want %v", da[i], db[i], h64[i], want)
			}
		}
	})
}

func TestIntegerDivision(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		b := load(t, target, "arith")
		const n = 2000
		r := rng(16)
		a, c := make([]int32, n), make([]int32, n)
		for i := range a {
			a[i], c[i] = int32(r.Uint32())>>r.IntN(32), int32(r.Uint32())>>r.IntN(32)
			if c[i] == 0 || c[i] == -1 {
				c[i] = 3
			}
		}
		q, m, w := up(b, make([]int32, n)), up(b, make([]uint32, n)), up(b, make([]uint64, n))
		b.must("integers", 64, []uint32{(n + 63) / 64}, up(b, a), up(b, c), q, m, w, n)
		gq, gm, gw := down[int32](b, q, n), down[uint32](b, m, n), down[uint64](b, w, n)
		for i := range a {
			wide := uint64(uint32(a[i]))*uint64(uint32(c[i])) + uint64(int64(a[i]))>>(uint32(c[i])&63)
			if gq[i] != a[i]/c[i] || gm[i] != uint32(a[i])%uint32(c[i]) || gw[i] != wide {
				t.Fatalf("%d, %d: quotient %d, remainder %d, wide %d, want %d, %d, %d", a[i], c[i], gq[i], gm[i],
					gw[i], a[i]/c[i], uint32(a[i])%uint32(c[i]), wide)
			}
		}
	})
}

func TestHalfArithmetic(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		b := load(t, target, "arith")
		const n = 4000
		r := rng(17)
		a, c := make([]uint16, n), make([]uint16, n)
		for i := range a {
			a[i], c[i] = uint16(r.Uint32()), uint16(r.Uint32())
			if a[i]&0x7c00 == 0x7c00 {
				a[i] &= 0xbfff
			}
			if c[i]&0x7c00 == 0x7c00 || c[i]&0x7fff == 0 {
				c[i] = 0x3555
			}
		}
		ps, pf, pq, pm := up(b, make([]uint16, n)), up(b, make([]uint16, n)), up(b, make([]uint16, n)),
			up(b, make([]float32, n))
		b.must("halves", 64, []uint32{(n + 63) / 64}, up(b, a), up(b, c), ps, pf, pq, pm, n)
		sum, fma, quot, mix := down[uint16](b, ps, n), down[uint16](b, pf, n), down[uint16](b, pq, n),
			down[float32](b, pm, n)
		for i := range a {
			x, y := f16value(a[i]), f16value(c[i])
			if want := f16bits(x + y); sum[i] != want && sum[i]&0x7fff|want&0x7fff != 0 {
				t.Fatalf("%v + %v = %#x, want %#x", x, y, sum[i], want)
			}
			// s = x*y + x per half, in f16 with or without fusion: only its order matters here
			s0, s1 := x*y+x, x*y+y
			if math.Abs(s0-s1) > 0.1*math.Max(math.Abs(s0), math.Abs(s1)) && math.Abs(s0) < 60000 &&
				math.Abs(s1) < 60000 {
				z := y
				if s1 > s0 {
					z = x
				}
				if want := f16bits(x*y + z); fma[i] != want && fma[i]&0x7fff|want&0x7fff != 0 {
					t.Fatalf("fma(%v, %v, %v) = %#x, want %#x", x, y, z, fma[i], want)
				}
			}
			if want := f16bits(x / y); quot[i] != want && quot[i]&0x7fff|want&0x7fff != 0 {
				t.Fatalf("%v / %v = %#x, want %#x", x, y, quot[i], want)
			}
			if want := float32(x*y + float64(float32(0.1))); math.Abs(float64(mix[i]-want)) > 1.2e-7*math.Abs(
				float64(want)) {
				t.Fatalf("mix(%v, %v) = %v, want %v", x, y, mix[i], want)
			}
		}
	})
}

// TestCounts compares what a launch counts with what its arguments say: distinct bytes, whatever tail and checks are,
// and the same waits whether they are modelled or dropped.
func TestCounts(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		b := load(t, target, "misc")
		const n = 1000
		g, u, y := up(b, make([]float32, n)), up(b, make([]float32, n)), up(b, make([]float32, n))
		var waits []uint64
		for _, o := range []Options{{Footprint: true}, {Footprint: true, Checks: Checks{AllChecks: true}}} {
			s, err := b.run("silu_mul", 256, []uint32{4}, o, g, u, y, n)
			if err != nil {
				t.Fatal(err)
			}
			if s.LoadedOnce != 2*4*n || s.StoredOnce != 4*n {
				t.Errorf("%+v: %d bytes loaded and %d stored, want %d and %d", o, s.LoadedOnce, s.StoredOnce, 2*4*n,
					4*n)
			}
			waits = append(waits, s.Waits)
		}
		if waits[0] == 0 || waits[0] != waits[1] {
			t.Errorf("%d waits without checks, %d with them", waits[0], waits[1])
		}
		s, err := b.run("silu_mul", 256, []uint32{4}, Options{}, g, u, y, n)
		if err != nil || s.LoadedOnce != 0 || s.StoredOnce != 0 {
			t.Errorf("without asking: %d and %d distinct bytes, error %v", s.LoadedOnce, s.StoredOnce, err)
		}
		// two loads in flight together in each wave, of lines that nobody has loaded; the last block lacks 24 elements
		s, err = b.run("silu_mul", 256, []uint32{4}, Options{Footprint: true, Trips: true, Groups: []uint64{1, 3}}, g,
			u, y, n)
		if err != nil || s.Workgroups != 2 || s.LoadedOnce != 2*4*(256+232) || s.Waves != 16 || s.Trips != 16 ||
			s.FreshTrips != 16 || s.LongestTrips != 1 || s.LongestFresh != 1 {
			t.Errorf("two workgroups of four: %+v, %v", s, err)
		}
		// the second time, everything has been loaded
		s, err = b.run("silu_mul", 256, []uint32{4},
			Options{Trips: true, Workers: 1, Footprint: true, Groups: []uint64{2, 2}}, g, u, y, n)
		if err != nil || s.Trips != 16 || s.FreshTrips != 8 || s.LongestFresh != 1 {
			t.Errorf("a workgroup twice: %d trips, %d fresh, %v", s.Trips, s.FreshTrips, err)
		}
		for _, o := range []Options{{Groups: []uint64{4}}, {Trips: true, Checks: Checks{Waits: true}}} {
			if _, err := b.run("silu_mul", 256, []uint32{4}, o, g, u, y, n); err == nil {
				t.Errorf("%+v: no error", o)
			}
		}
	})
}
