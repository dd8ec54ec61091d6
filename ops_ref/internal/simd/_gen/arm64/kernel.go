package main

import (
	"bytes"
	"fmt"
	"strings"
)

// file is what the kernels of this package are written to: assembly, and the Go declarations of its functions.
type file struct{ asm, data, stubs bytes.Buffer }

// kernel is one function of assembly. Registers are given out by name: general ones by gp, vectors by vec for values
// that come and go, and by constant for values that the whole function keeps.
type kernel struct {
	f         *file
	body      bytes.Buffer
	setup     bytes.Buffer // constants, loaded before the body
	name      string
	params    map[string]int
	args      int // bytes of parameters
	frame     int // bytes of local memory
	gps       int // general registers given out
	used      [32]bool
	top       int // vectors used at once, at most
	constants map[string]v
}

// v is a vector register, x a general one.
type (
	v int
	x string
)

// general are the registers that gp gives out. R20 to R25 are for values that do not last; R16 and R17 belong to the
// linker, R18 to the platform, R26 and the rest to Go.
var general = []x{"R0", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15", "R19"}

// number returns the number of r in an instruction.
func (r x) number() uint32 {
	var n uint32
	if _, err := fmt.Sscanf(string(r), "R%d", &n); err != nil {
		panic(err)
	}
	return n
}

// begin starts a kernel of the given parameters, in Go's syntax with a type for every group of names, which it knows
// to keep no pointers.
func (f *file) begin(name, signature string, doc ...string) *kernel {
	k := &kernel{f: f, name: name, params: map[string]int{}, constants: map[string]v{}}
	var names []string
	for _, field := range strings.Split(signature, ", ") {
		n, typ, typed := strings.Cut(field, " ")
		names = append(names, n)
		if !typed {
			continue
		}
		for _, n := range names {
			size := 8
			if typ == "float32" {
				size = 4
			}
			k.args = (k.args + size - 1) &^ (size - 1)
			k.params[n] = k.args
			k.args += size
		}
		names = nil
	}
	fmt.Fprintf(&f.stubs, "\n// %s %s\n//\n//go:noescape\nfunc %s(%s)\n", name, strings.Join(doc, "\n// "), name, signature)
	return k
}

// end writes the kernel.
func (k *kernel) end() {
	k.ins("RET")
	if k.top+len(k.constants) > 32 {
		panic(fmt.Sprintf("%s needs %d+%d vectors", k.name, k.top, len(k.constants)))
	}
	fmt.Fprintf(&k.f.asm, "\nTEXT ·%s(SB), NOSPLIT, $%d-%d\n%s%s", k.name, k.frame, k.args, k.setup.Bytes(), k.body.Bytes())
}

// ins writes an instruction in Go's syntax, label a label.
func (k *kernel) ins(format string, args ...any) {
	fmt.Fprintf(&k.body, "\t"+format+"\n", args...)
}

func (k *kernel) label(name string) { fmt.Fprintf(&k.body, "\n%s:\n", name) }

// word writes an instruction of which the Go assembler need not know the name, in Arm's syntax.
func (k *kernel) word(code uint32, format string, args ...any) {
	word(&k.body, code, format, args...)
}

func word(b *bytes.Buffer, code uint32, format string, args ...any) {
	fmt.Fprintf(b, "\tWORD $0x%08x // %s\n", code, fmt.Sprintf(format, args...))
}

// gp returns a general register that nothing else uses.
func (k *kernel) gp() x {
	k.gps++
	return general[k.gps-1]
}

// load returns a general register with a parameter.
func (k *kernel) load(name string) x {
	r := k.gp()
	k.ins("MOVD %s+%d(FP), %s", name, k.params[name], r)
	return r
}

// vec returns a vector that nothing else uses, until free.
func (k *kernel) vec() v {
	for i, used := range k.used {
		if !used {
			k.used[i] = true
			k.top = max(k.top, i+1)
			return v(i)
		}
	}
	panic(k.name + ": no vectors left")
}

func (k *kernel) vecs(n int) []v {
	vs := make([]v, n)
	for i := range vs {
		vs[i] = k.vec()
	}
	return vs
}

func (k *kernel) free(vs ...v) {
	for _, r := range vs {
		if r < k.firstConstant() {
			k.used[r] = false
		}
	}
}

// firstConstant is the lowest vector that holds a constant: they are given out from the highest on.
func (k *kernel) firstConstant() v { return v(32 - len(k.constants)) }

func (k *kernel) newConstant(name string) (r v, known bool) {
	if r, known := k.constants[name]; known {
		return r, true
	}
	r = k.firstConstant() - 1
	k.constants[name] = r
	return r, false
}

// dwords returns a vector of four copies of bits, which keeps them throughout the kernel.
func (k *kernel) dwords(bits uint32) v {
	r, known := k.newConstant(fmt.Sprint("dword", bits))
	if !known {
		fmt.Fprintf(&k.setup, "\tMOVW $0x%08x, R25\n", bits)
		word(&k.setup, 0x4e040c00|25<<5|uint32(r), "dup v%d.4s, w25", r)
	}
	return r
}

// bytes returns a vector of sixteen copies of b.
func (k *kernel) bytes(b byte) v { return k.dwords(uint32(b) * 0x01010101) }

// table returns a vector of the given bytes.
func (k *kernel) table(name string, b [16]byte) v {
	r, known := k.newConstant(name)
	if !known {
		fmt.Fprintf(&k.f.data, "\n")
		for i := 0; i < 16; i += 8 {
			var q uint64
			for j := range 8 {
				q |= uint64(b[i+j]) << (8 * j)
			}
			fmt.Fprintf(&k.f.data, "DATA %s<>+%d(SB)/8, $0x%016x\n", name, i, q)
		}
		fmt.Fprintf(&k.f.data, "GLOBL %s<>(SB), RODATA|NOPTR, $16\n", name)
		fmt.Fprintf(&k.setup, "\tMOVD $%s<>(SB), R25\n", name)
		word(&k.setup, 0x3dc00000|25<<5|uint32(r), "ldr q%d, [x25]", r)
	}
	return r
}

// broadcast returns a vector of four copies of a float32 parameter.
func (k *kernel) broadcast(name string) v {
	r, known := k.newConstant("parameter " + name)
	if !known {
		fmt.Fprintf(&k.setup, "\tMOVWU %s+%d(FP), R25\n", name, k.params[name])
		word(&k.setup, 0x4e040c00|25<<5|uint32(r), "dup v%d.4s, w25", r)
	}
	return r
}
