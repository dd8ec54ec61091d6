//go:build unix

package rdna

import (
	"syscall"
	"testing"
	"time"
)

// cpuSeconds is the processor time of this process, which other load on the
// machine does not distort.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return float64(time.Now().UnixNano()) / 1e9
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// BenchmarkKernels measures wave-instructions per second of processor time.
func BenchmarkKernels(b *testing.B) {
	const rows, blocks = 256, 16 // blocks of 256 weights
	r := rng(1)
	for _, target := range []string{"gfx1100", "gfx1201"} {
		m := load(b, target, "mat_vec")
		x8, _ := q80(r, blocks*8, true)
		w8, _ := q80(r, rows*blocks*8, false)
		w4, _ := q4k(r, rows*blocks)
		px8, pw8, pw4, px, py := up(m, x8), up(m, w8), up(m, w4), up(m, floats(r, blocks*256)),
			up(m, make([]float32, rows))
		g := load(b, target, "gemm")
		const n = 256
		pa, pc := up(g, halfSlice(r, n*n)), up(g, make([]float32, n*n))
		for _, k := range []struct {
			name string
			on   *bench
			grid []uint32
			args []any
		}{
			{"mat_vec_q8_0", m, []uint32{rows / 4}, []any{pw8, px8, py, rows, blocks * 8}},
			{"mat_vec_q4_k", m, []uint32{rows / 4}, []any{pw4, px, py, rows, blocks}},
			{"mat_vec_q4_k_q8_1", m, []uint32{rows / 4}, []any{pw4, px8, py, rows, blocks}},
			{"gemm_f16", g, []uint32{n / 64, n / 64}, []any{pa, pa, pc, n, n}},
		} {
			for _, o := range []Options{{Workers: 1}, {Workers: 1, Checks: Checks{AllChecks: true}}} {
				name := target + "/" + k.name
				if o.Checks.AllChecks {
					name += "/checked"
				}
				b.Run(name, func(b *testing.B) {
					var total Stats
					start := cpuSeconds()
					for b.Loop() {
						s, err := k.on.run(k.name, 128, k.grid, o, k.args...)
						if err != nil {
							b.Fatal(err)
						}
						total.Add(s)
					}
					b.ReportMetric(float64(total.Instructions)/(cpuSeconds()-start)/1e6, "Minst/cpu-s")
				})
			}
		}
	}
}

// BenchmarkLaunch measures a launch of one small workgroup.
func BenchmarkLaunch(b *testing.B) {
	m := load(b, "gfx1100", "misc")
	x := up(m, make([]float32, 256))
	for b.Loop() {
		if _, err := m.run("silu_mul", 256, nil, Options{}, x, x, x, 256); err != nil {
			b.Fatal(err)
		}
	}
}
