package rdna

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/exec"
)

// These tests run kernels with planted defects. Each must be caught.

const normLen = 1000

// runNorm runs RMSNorm and reports the fault, if any, and whether the result is
// that of the definition.
func runNorm(b *bench, o Options) (err error, right bool) {
	x, w := floats(rng(1), normLen), floats(rng(2), normLen)
	y := up(b, make([]float32, normLen))
	_, err = b.run("rms_norm", 256, nil, o, up(b, x), up(b, w), y, normLen, float32(1e-5))
	if err != nil {
		return err, false
	}
	var s float64
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	for i, v := range down[float32](b, y, normLen) {
		want := float64(x[i]) * float64(w[i]) / math.Sqrt(s/normLen+1e-5)
		if !(math.Abs(float64(v)-want) <= 1e-5*math.Abs(want)) {
			return nil, false
		}
	}
	return nil, true
}

func wantFault(t *testing.T, err error, kinds ...exec.FaultKind) *Fault {
	t.Helper()
	var f *Fault
	if !errors.As(err, &f) {
		t.Fatalf("error %v, want a fault of kind %v", err, kinds)
	}
	for _, k := range kinds {
		if f.Kind == k {
			return f
		}
	}
	t.Fatalf("fault %v, want one of kind %v", f, kinds)
	return nil
}

// LLVM 19 sank a permlane under a branch. Its objects are kept, since LLVM 22 compiles the same source without the
// flag that forbids sinking to code that is right.
func TestControlMachineSink(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		if err, right := runNorm(load(t, target, "norm.sunk"), everything); err != nil || !right {
			t.Errorf("compiled with sinking by LLVM 22: error %v, right %v", err, right)
		}
		if !slices.Contains(committed, target) {
			return // no object of LLVM 19 for it
		}
		b := load(t, target, "norm.machine_sink")
		err, _ := runNorm(b, Options{})
		f := wantFault(t, err, exec.PartialExec)
		if !strings.Contains(f.Instruction, "v_permlanex16_b32") {
			t.Errorf("fault at %q, want the sunk permlane", f.Instruction)
		}
		if err, right := runNorm(b, Options{AllowPartialPermlane: true}); err != nil || right {
			t.Errorf("without the refusal the miscompiled kernel gave error %v, right %v; want a wrong result", err,
				right)
		}
	})
}

func TestControlTail(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		err, _ := runNorm(load(t, target, "norm.tail"), Options{})
		f := wantFault(t, err, exec.OutOfBounds)
		if f.Lane != normLen%32 || !f.HasAddress || f.Wave != normLen%256/32 {
			t.Errorf("fault %v, want lane %d of wave %d", f, normLen%32, normLen%256/32)
		}
	})
}

func TestControlNoBarrier(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		for seed := uint64(1); seed < 4; seed++ {
			o := Options{Checks: Checks{Races: true, WaveSeed: seed}}
			err, _ := runNorm(load(t, target, "norm.no_barrier"), o)
			wantFault(t, err, exec.LDSRace)
		}
		err, _ := runNorm(load(t, target, "norm.no_barrier"), Options{Checks: Checks{Poison: true}})
		wantFault(t, err, exec.PoisonRead)
	})
}

func TestControlSwappedRows(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		for _, name := range []string{"gemm", "gemm.swapped_rows"} {
			if right := int8GEMM(t, load(t, target, name)); right != (name == "gemm") {
				t.Errorf("%s: result is right: %v", name, right)
			}
		}
	})
}

// int8GEMM runs one 16x64 product and reports whether it is right.
func int8GEMM(t *testing.T, b *bench) bool {
	t.Helper()
	const m, n, k = 16, 64, 16
	r := rng(3)
	a, w := make([]byte, m*k), make([]byte, n*k)
	for i := range a {
		a[i] = byte(r.Uint32())
	}
	for i := range w {
		w[i] = byte(r.Uint32())
	}
	c := up(b, make([]int32, m*n))
	b.must("gemm_i8", 128, []uint32{1, 1}, up(b, a), up(b, w), c, n, k)
	for i, got := range down[int32](b, c, m*n) {
		var s int32
		for j := range k {
			s += int32(int8(a[i/n*k+j])) * int32(int8(w[i%n*k+j]))
		}
		if got != s {
			return false
		}
	}
	return true
}

// patch rewrites instructions of a kernel: edit returns the new words or nil.
func patch(t *testing.T, target, name, kernel string, edit func(n int, i *decode.Inst) []uint32) (code []byte,
	edited int) {
	t.Helper()
	code = slices.Clone(object(t, target, name))
	obj, err := codeobj.Parse(code)
	if err != nil {
		t.Fatal(err)
	}
	gen, err := decode.GenOf(target)
	if err != nil {
		t.Fatal(err)
	}
	text, addr := obj.Text()
	fileOff := strings.Index(string(code), string(text))
	k := obj.Kernel(kernel)
	n := 0
	for off := int(k.Entry - addr); off < int(k.CodeEnd-addr); {
		i, err := decode.New(gen).Decode(text, off)
		if err != nil {
			t.Fatal(err)
		}
		if words := edit(n, &i); words != nil {
			edited++
			for j, w := range words {
				binary.LittleEndian.PutUint32(code[fileOff+off+4*j:], w)
			}
		}
		n++
		off += i.Size
	}
	return code, edited
}

const sNop = 0xbf800000

func TestControlWrongSign(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		code, n := patch(t, target, "gemm", "gemm_i8", func(_ int, i *decode.Inst) []uint32 {
			if !strings.HasPrefix(i.Name, "v_wmma") {
				return nil
			}
			return []uint32{i.Words[0], i.Words[1] ^ 1<<30} // neg_lo of the second factor: signed to unsigned
		})
		if n == 0 {
			t.Fatal("no matrix instruction to patch")
		}
		if int8GEMM(t, loadBytes(t, target, code)) {
			t.Error("a product with the sign of one factor ignored passes for right")
		}
	})
}

func TestControlRemovedBarrierInstruction(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		code, n := patch(t, target, "norm", "rms_norm", func(_ int, i *decode.Inst) []uint32 {
			if strings.HasPrefix(i.Name, "s_barrier") {
				return []uint32{sNop}
			}
			return nil
		})
		if n == 0 {
			t.Fatal("no barrier to remove")
		}
		err, _ := runNorm(loadBytes(t, target, code), everything)
		wantFault(t, err, exec.LDSRace, exec.PoisonRead)
	})
}

// TestControlRemovedWaits removes the waits of a kernel one by one. A wait that
// guards a register must be missed.
func TestControlRemovedWaits(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		isWait := func(i *decode.Inst) bool {
			switch i.Name {
			case "s_waitcnt", "s_wait_loadcnt", "s_wait_dscnt", "s_wait_kmcnt", "s_wait_loadcnt_dscnt":
				return true
			}
			return false
		}
		caught, waits := 0, 0
		var missed []string
		for skip := 0; ; skip++ {
			seen, text := 0, ""
			code, n := patch(t, target, "norm", "rms_norm", func(_ int, i *decode.Inst) []uint32 {
				if !isWait(i) {
					return nil
				}
				seen++
				if seen-1 != skip {
					return nil
				}
				text = i.String()
				return []uint32{sNop}
			})
			if n == 0 {
				break
			}
			waits++
			err, _ := runNorm(loadBytes(t, target, code), everything)
			var f *Fault
			if errors.As(err, &f) && (f.Kind == exec.PendingRead || f.Kind == exec.LDSRace) {
				caught++
			} else {
				missed = append(missed, text)
			}
		}
		if waits == 0 || caught != waits {
			t.Errorf("%d of %d removed waits were caught, not %q", caught, waits, missed)
		}
	})
}

// TestControlSGPR takes the waits for scalar registers away, all at once: the check faults, and nothing else sees it.
func TestControlSGPR(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		code, n := patch(t, target, "norm", "rms_norm", func(_ int, i *decode.Inst) []uint32 {
			if i.Name == "s_wait_alu" {
				return []uint32{sNop}
			}
			return nil
		})
		if !strings.HasPrefix(target, "gfx12") {
			if n != 0 {
				t.Errorf("%d s_wait_alu in code for %s", n, target)
			}
			return
		}
		if n == 0 {
			t.Fatal("no s_wait_alu to remove")
		}
		err, _ := runNorm(loadBytes(t, target, code), Options{Checks: Checks{SGPR: true}})
		wantFault(t, err, exec.StaleSGPR)
		if err, right := runNorm(loadBytes(t, target, code), Options{}); err != nil || !right {
			t.Errorf("without the check: error %v, right %v", err, right)
		}
		if err, _ := runNorm(load(t, target, "norm"), Options{Checks: Checks{SGPR: true}}); err != nil {
			t.Errorf("with its waits: %v", err)
		}
	})
}

func TestControlReadOnly(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		b := load(t, target, "norm")
		x := floats(rng(1), 256)
		px, pw := up(b, x), up(b, x)
		ro, err := b.dev.AllocReadOnly(raw(x))
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.run("rms_norm", 256, nil, Options{}, px, pw, ptr(ro), 256, float32(0))
		wantFault(t, err, exec.ReadOnlyWrite)
		// x is only read and may not be written through y, unless y is the same buffer
		_, err = b.run("rms_norm", 256, nil, Options{Checks: Checks{ReadOnly: true}}, px, pw, px, 256, float32(0))
		if err != nil {
			t.Fatalf("an alias of a written argument counts as written: %v", err)
		}
	})
}

// TestControlStrayStore lets the store of a kernel go where its last load came from: to an argument that the compiler
// found to be read-only. Nothing but the check sees that.
func TestControlStrayStore(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		gfx12 := strings.HasPrefix(target, "gfx12")
		var load [3]uint32
		code, edited := patch(t, target, "norm", "rms_norm", func(_ int, i *decode.Inst) []uint32 {
			switch i.Name {
			case "global_load_b32":
				load = i.Words
			case "global_store_b32":
				if gfx12 { // the base is in the first word, the address and its offset in the third
					return []uint32{i.Words[0]&^0x7f | load[0]&0x7f, i.Words[1], load[2]}
				}
				return []uint32{i.Words[0]&^0x1fff | load[0]&0x1fff, i.Words[1]&^0x7f00ff | load[1]&0x7f00ff}
			}
			return nil
		})
		if edited != 1 {
			t.Fatalf("%d stores to redirect, want one", edited)
		}
		const n = 256 // the buffers have room behind, since the address has moved on before the store
		b := loadBytes(t, target, code)
		x := up(b, floats(rng(1), 4*n))
		y := up(b, make([]float32, 4*n))
		_, err := b.run("rms_norm", 256, nil, Options{Checks: Checks{ReadOnly: true}}, x, x, y, n, float32(0))
		wantFault(t, err, exec.ReadOnlyWrite)
		if _, err = b.run("rms_norm", 256, nil, Options{}, x, x, y, n, float32(0)); err != nil {
			t.Errorf("without the check: %v", err)
		}
	})
}

func TestFaults(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		first := func(words ...uint32) func(int, *decode.Inst) []uint32 {
			return func(n int, _ *decode.Inst) []uint32 {
				if n == 0 {
					return words
				}
				return nil
			}
		}
		tests := []struct {
			name  string
			words []uint32
			kind  exec.FaultKind
		}{
			{"unknown instruction", []uint32{0xffffffff, sNop}, exec.UnknownInstruction},
			{"trap", []uint32{0xbf900002, sNop}, exec.Trap},
			{"endless loop", []uint32{0xbfa0ffff, sNop}, exec.Budget},                 // s_branch to itself
			{"branch outside the code", []uint32{0xbfa07fff, sNop}, exec.Unsupported}, // refused when reached
			{"rounding mode", []uint32{0xbf910001, sNop}, exec.Unsupported},           // s_round_mode 1
			{"jump to nowhere", []uint32{0xbe804880, sNop}, exec.BadJump},
			// s[104:105] is poison, which is odd
			{"scalar load from nowhere", []uint32{0xf4000000 | 104>>1, 0xf8000000}, exec.Misaligned},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				code, _ := patch(t, target, "norm", "rms_norm", first(test.words...))
				err, _ := runNorm(loadBytes(t, target, code), Options{Budget: 1 << 20})
				f := wantFault(t, err, test.kind)
				if f.Kernel != "rms_norm" || f.Instruction == "" || f.PC == 0 {
					t.Errorf("fault does not say where it happened: %+v", f)
				}
			})
		}
	})
}

// TestBudgetIsExact runs many short waves with exactly the budget that they need,
// and with one instruction less.
func TestBudgetIsExact(t *testing.T) {
	b := load(t, "gfx1100", "misc")
	const n = 256 * 300
	g, y := up(b, make([]float32, n)), up(b, make([]float32, n))
	s, err := b.run("silu_mul", 256, []uint32{n / 256}, Options{}, g, g, y, n)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		budget uint64
		ok     bool
	}{{s.Instructions, true}, {s.Instructions - 1, false}, {s.Instructions / 2, false}} {
		_, err := b.run("silu_mul", 256, []uint32{n / 256}, Options{Workers: 1, Budget: c.budget}, g, g, y, n)
		if (err == nil) != c.ok {
			t.Errorf("%d of %d instructions: error %v", c.budget, s.Instructions, err)
		}
		if err != nil {
			wantFault(t, err, exec.Budget)
		}
	}
}

func TestCancel(t *testing.T) {
	code, _ := patch(t, "gfx1100", "norm", "rms_norm", func(n int, _ *decode.Inst) []uint32 {
		if n == 0 {
			return []uint32{0xbfa0ffff, sNop}
		}
		return nil
	})
	b := loadBytes(t, "gfx1100", code)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	x := up(b, make([]float32, 8))
	_, err := b.mod.Launch(ctx, "rms_norm", [3]uint32{1, 1, 1}, [3]uint32{256, 1, 1}, 0, args(x, x, x, 8, float32(0)),
		Options{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestLaunchErrors(t *testing.T) {
	b := load(t, "gfx1100", "norm")
	one := [3]uint32{1, 1, 1}
	tests := []struct {
		name        string
		kernel      string
		grid, block [3]uint32
		lds         uint32
		args        []byte
		want        string
	}{
		{"no such kernel", "nothing", one, one, 0, nil, `no kernel "nothing"`},
		{"block too large", "rms_norm", one, [3]uint32{512, 1, 1}, 0, make([]byte, 32), "at most 256"},
		{"empty grid", "rms_norm", [3]uint32{0, 1, 1}, one, 0, make([]byte, 32), "grid"},
		{"LDS", "rms_norm", one, one, 70000, make([]byte, 32), "LDS"},
		{"arguments too short", "rms_norm", one, one, 0, make([]byte, 8), "bytes of arguments"},
		{"arguments too long", "rms_norm", one, one, 0, make([]byte, 800), "bytes of arguments"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := b.mod.Launch(context.Background(), test.kernel, test.grid, test.block, test.lds, test.args,
				Options{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
	if _, err := b.dev.Load("gfx1201", nil); err == nil {
		t.Error("an empty code object loads")
	}
	code, _ := patch(t, "gfx1100", "norm", "rms_norm", func(int, *decode.Inst) []uint32 { return nil })
	if _, err := b.dev.Load("gfx1201", code); err == nil || !strings.Contains(err.Error(), "gfx1100") {
		t.Errorf("loading for another target: %v", err)
	}
}
