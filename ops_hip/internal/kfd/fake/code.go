//go:build linux

package fake

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/exec"
)

// CodeCache keeps decoded code, which machines can share.
type CodeCache struct {
	mu    sync.Mutex
	progs map[[sha256.Size]byte]*exec.Program
}

// NewCodeCache returns an empty cache.
func NewCodeCache() *CodeCache { return &CodeCache{progs: map[[sha256.Size]byte]*exec.Program{}} }

func (c *CodeCache) compile(gen decode.Gen, text []byte, addr uint64) (*exec.Program, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d\n", gen, addr)
	h.Write(text)
	var key [sha256.Size]byte
	h.Sum(key[:0])
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.progs[key]; p != nil {
		return p, nil
	}
	p, err := exec.Compile(gen, text, addr)
	if err == nil {
		c.progs[key] = p
	}
	return p, err
}

// loaded is code as the instruction cache holds it since it was last invalidated.
type loaded struct {
	at   uint64 // of the text in its buffer
	text []byte
	prog *exec.Program // nil until something is launched
}

func (l *loaded) matches(image []byte) bool {
	return bytes.Equal(l.text, image[l.at:l.at+uint64(len(l.text))])
}

// segment finds the executable segment of an image that lies at its virtual addresses.
func segment(image []byte) (at, size uint64, ok bool) {
	const header, entry = 64, 56
	if len(image) < header || !bytes.HasPrefix(image, []byte("\x7fELF\x02\x01")) {
		return 0, 0, false
	}
	off, n := le.Uint64(image[32:]), uint64(le.Uint16(image[56:]))
	for i := range n {
		p := off + i*entry
		if p+entry > uint64(len(image)) || p < off {
			break
		}
		if h := image[p:]; le.Uint32(h) == 1 && le.Uint32(h[4:])&1 != 0 {
			at, size = le.Uint64(h[16:]), le.Uint64(h[40:])
			return at, size, at <= uint64(len(image)) && size <= uint64(len(image))-at
		}
	}
	return 0, 0, false
}

// invalidateCode empties the instruction cache: code is from now on what lies in memory.
func (g *gpu) invalidateCode() {
	fresh := map[*bo]*loaded{}
	for _, b := range g.maps {
		image := b.views[g].dev
		at, size, ok := segment(image)
		if !ok || g.hidden(b) {
			continue
		}
		if old := g.icache[b]; old != nil && old.at == at && uint64(len(old.text)) == size && old.matches(image) {
			fresh[b] = old
			continue
		}
		fresh[b] = &loaded{at: at, text: bytes.Clone(image[at : at+size])}
	}
	g.icache = fresh
}

// program returns the code that a launch runs, and the kernel's name. kd and entry are places in the buffer.
func (g *gpu) program(b *bo, kd, entry uint64) (*exec.Program, string, error) {
	image := b.views[g].dev
	l := g.icache[b]
	if l == nil || !l.matches(image) {
		g.m.violate("stale-code", "a kernel of %v is launched, whose code was stored since the instruction cache was last "+
			"invalidated", b)
		at, size, ok := segment(image)
		if !ok {
			return nil, "", fmt.Errorf("%v holds no code object", b)
		}
		l = &loaded{at: at, text: bytes.Clone(image[at : at+size])}
		g.icache[b] = l
	}
	if entry < l.at || entry >= l.at+uint64(len(l.text)) {
		return nil, "", fmt.Errorf("entry %#x of %v is not executable", entry, b)
	}
	if l.prog == nil {
		p, err := g.m.code.compile(g.gen, l.text, l.at)
		if err != nil {
			return nil, "", err
		}
		l.prog = p
	}
	return l.prog, symbol(image, kd), nil
}

// symbol returns the name of the kernel whose descriptor lies at kd, from the image's dynamic symbols.
func symbol(image []byte, kd uint64) string {
	unknown := fmt.Sprintf("kernel %#x", kd)
	const entry, dynamic = 56, 2
	word := func(at uint64) uint64 {
		if at+8 > uint64(len(image)) || at+8 < at {
			return 0
		}
		return le.Uint64(image[at:])
	}
	var tags [12]uint64
	for i := range uint64(le.Uint16(image[56:])) {
		p := le.Uint64(image[32:]) + i*entry
		if uint32(word(p)) != dynamic {
			continue
		}
		for at := word(p + 16); word(at) != 0; at += 16 {
			if tag := word(at); tag < uint64(len(tags)) {
				tags[tag] = word(at + 8)
			}
		}
	}
	const hash, strtab, symtab = 4, 5, 6
	if tags[hash] == 0 {
		return unknown
	}
	for i := range min(word(tags[hash])>>32, 1<<16) {
		s := tags[symtab] + 24*i
		if word(s+8) != kd {
			continue
		}
		name := tags[strtab] + uint64(uint32(word(s)))
		if name >= uint64(len(image)) {
			break
		}
		text, _, _ := bytes.Cut(image[name:], []byte{0})
		if base, ok := strings.CutSuffix(string(text), ".kd"); ok {
			return base
		}
	}
	return unknown
}
