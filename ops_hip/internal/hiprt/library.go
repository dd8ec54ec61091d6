//go:build linux && !nogpu

package hiprt

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// proto is the C prototype of a bound function without its return type, which is always an error code: the name
// and the parameters. An asterisk before the name marks a function that old libraries lack.
type proto string

// name returns the symbol to look up.
func (p proto) name() string {
	s, _, _ := strings.Cut(string(p), "(")
	return strings.TrimPrefix(s, "*")
}

// optional reports whether the library may lack the function.
func (p proto) optional() bool { return p[0] == '*' }

// args returns the number of parameters.
func (p proto) args() int {
	_, s, _ := strings.Cut(string(p), "(")
	if s == ")" || s == "void)" {
		return 0
	}
	return strings.Count(s, ",") + 1
}

// library is an open shared library with its functions looked up.
type library struct {
	path   string
	protos []proto
	addrs  []uintptr // parallel to protos; 0 for an optional function that is missing
	words  sync.Pool // *[11]uintptr
}

// bind looks up all protos in the library, and reports everything that is missing at once.
func bind(handle uintptr, path string, protos []proto) (*library, error) {
	l := &library{path: path, protos: protos, addrs: make([]uintptr, len(protos))}
	l.words.New = func() any { return new([11]uintptr) }
	var missing []string
	for i, p := range protos {
		a, err := purego.Dlsym(handle, p.name())
		if err != nil && !p.optional() {
			missing = append(missing, p.name())
		}
		l.addrs[i] = a
	}
	if missing != nil {
		return nil, fmt.Errorf("hiprt: %s lacks %s: is it another library, or too old?", path,
			strings.Join(missing, ", "))
	}
	return l, nil
}

// code calls function f. Arguments converted from pointers in the call stay valid until it returns.
//
//go:uintptrescapes
func (l *library) code(f int, args ...uintptr) uint32 { return l.hot(f, args...) }

// hot is code for arguments that do not point to Go memory. It does not allocate.
func (l *library) hot(f int, args ...uintptr) uint32 {
	w := l.words.Get().(*[11]uintptr)
	n := copy(w[:], args)
	r, _, _ := purego.SyscallN(l.addrs[f], w[:n]...)
	l.words.Put(w)
	return uint32(r)
}

// text calls function f, which returns a string.
func (l *library) text(f int, arg uintptr) string {
	r, _, _ := purego.SyscallN(l.addrs[f], arg)
	return cString(r)
}

// cString copies the zero-terminated string at address p, which is not Go memory.
func cString(p uintptr) string {
	if p == 0 {
		return ""
	}
	c := *(**byte)(unsafe.Pointer(&p))
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(c), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(c, n))
}

// goString returns the text in b up to the first zero byte.
func goString(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// zeroTerminated returns s as a C string.
func zeroTerminated(s string) []byte { return append([]byte(s), 0) }

// hostBytes returns the n bytes at p, which is not Go memory.
func hostBytes(p unsafe.Pointer, n int64) []byte { return unsafe.Slice((*byte)(p), n) }

// prepare lays out l's arguments and the addresses of its parameters in mem. Launch functions also take packed
// arguments ("extra"), but hardly any program uses those, and a runtime has been seen to lose what kernels so
// launched write.
func prepare(l *Launch, mem []byte) {
	copy(mem, l.Args)
	params := uintptr(0)
	if len(l.Params) > 0 {
		table := mem[paramsAt(len(l.Args)):][:8*len(l.Params)]
		for i, at := range l.Params {
			binary.NativeEndian.PutUint64(table[8*i:], uint64(data(mem))+uint64(at))
		}
		params = data(table)
	}
	l.call = [11]uintptr{uintptr(l.Func),
		uintptr(l.Grid[0]), uintptr(l.Grid[1]), uintptr(l.Grid[2]),
		uintptr(l.Block[0]), uintptr(l.Block[1]), uintptr(l.Block[2]),
		0, 0, params, 0}
}

// issue calls the native launch function f.
func (l *library) issue(f int, x *Launch, s Stream) uint32 {
	x.call[8] = uintptr(s)
	r, _, _ := purego.SyscallN(l.addrs[f], x.call[:]...)
	return uint32(r)
}
