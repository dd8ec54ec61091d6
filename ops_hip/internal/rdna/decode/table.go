package decode

import (
	"strings"
	"sync"
)

// opRow is one line of an opcode table; see the package comment for sig.
type opRow struct {
	op   uint16
	name string
	sig  string
	late bool
}

// operandSpec is one parsed element of a signature.
type operandSpec struct {
	field, class byte
	width        uint8
}

// opInfo is the parsed form of an opRow.
type opInfo struct {
	mnemonic string
	base     string
	specs    []operandSpec
	late     bool
}

// Decoder decodes the instructions of one target. It holds no state between
// calls and may be shared.
type Decoder struct {
	gen    Gen
	tables [numFormats][]*opInfo
}

// decoders build the lookup tables of a generation on first use.
var decoders = [...]func() *Decoder{
	GFX11:  sync.OnceValue(func() *Decoder { return newDecoder(GFX11) }),
	GFX115: sync.OnceValue(func() *Decoder { return newDecoder(GFX115) }),
	GFX12:  sync.OnceValue(func() *Decoder { return newDecoder(GFX12) }),
}

// New returns the decoder of a generation, which must be one of the constants.
func New(g Gen) *Decoder { return decoders[g]() }

func newDecoder(g Gen) *Decoder {
	rows := map[Format][]opRow{SOP2: gfx11SOP2, SOPK: gfx11SOPK, SOP1: gfx11SOP1, SOPC: gfx11SOPC, SOPP: gfx11SOPP,
		SMEM: gfx11SMEM, VOP2: gfx11VOP2, VOP1: gfx11VOP1, VOPC: gfx11VOPC, VOP3: gfx11VOP3, VOP3P: gfx11VOP3P,
		DS: gfx11DS, FLAT: gfx11FLAT, SCRATCH: gfx11SCRATCH, GLOBAL: gfx11GLOBAL, MUBUF: gfx11MUBUF}
	if g == GFX12 {
		rows = map[Format][]opRow{SOP2: gfx12SOP2, SOPK: gfx12SOPK, SOP1: gfx12SOP1, SOPC: gfx12SOPC, SOPP: gfx12SOPP,
			SMEM: gfx12SMEM, VOP2: gfx12VOP2, VOP1: gfx12VOP1, VOPC: gfx12VOPC, VOP3: gfx12VOP3, VOP3P: gfx12VOP3P,
			DS: gfx12DS, FLAT: gfx12FLAT, SCRATCH: gfx12SCRATCH, GLOBAL: gfx12GLOBAL}
	}
	d := &Decoder{gen: g}
	for f, rs := range rows {
		for _, r := range rs {
			if r.late && g == GFX11 {
				continue
			}
			for int(r.op) >= len(d.tables[f]) {
				d.tables[f] = append(d.tables[f], make([]*opInfo, 64)...)
			}
			d.tables[f][r.op] = parseRow(r)
		}
	}
	return d
}

func parseRow(r opRow) *opInfo {
	info := &opInfo{mnemonic: r.name, base: r.name, late: r.late}
	info.base = strings.TrimSuffix(strings.TrimSuffix(r.name, "_e32"), "_e64")
	for _, t := range strings.Fields(r.sig) {
		s := operandSpec{field: t[0], class: 'k', width: 1}
		if len(t) > 1 {
			s.class = t[1]
			s.width = 0
			for _, c := range t[2:] {
				s.width = s.width*10 + uint8(c-'0')
			}
		}
		info.specs = append(info.specs, s)
	}
	return info
}

// Opcode returns the opcode of an instruction by format and name without encoding
// suffix, for programs that assemble instructions.
func (d *Decoder) Opcode(f Format, name string) (op uint32, ok bool) {
	if f >= numFormats {
		return 0, false
	}
	for k, info := range d.tables[f] {
		if info != nil && info.base == name {
			return uint32(k), true
		}
	}
	return 0, false
}

// Names returns the names of a format's instructions by opcode, without encoding
// suffix.
func (d *Decoder) Names(f Format) []string {
	if f >= numFormats {
		return nil
	}
	var names []string
	for _, info := range d.tables[f] {
		if info != nil {
			names = append(names, info.base)
		}
	}
	return names
}

func (d *Decoder) lookup(f Format, op uint32) *opInfo {
	t := d.tables[f]
	if op >= uint32(len(t)) {
		return nil
	}
	return t[op]
}
