package check

import "fmt"

// LDS shadows the LDS of a workgroup byte by byte.
type LDS struct {
	opt     Options
	written []bool
	writer  []access
	reader  []access
}

// access is the last access of a kind: a wave, its barrier epoch, and whether
// every access of this kind in the epoch was atomic. Several waves collapse to
// many.
type access struct {
	epoch  int32
	wave   int16
	atomic bool
}

const (
	nobody = -1
	many   = -2
)

// NewLDS returns the shadow of size bytes.
func NewLDS(o Options, size int) *LDS {
	l := &LDS{opt: o, written: make([]bool, size)}
	if o.Races {
		l.writer, l.reader = make([]access, size), make([]access, size)
		for i := range l.writer {
			l.writer[i].wave, l.reader[i].wave = nobody, nobody
		}
	}
	return l
}

// Access records an access of n bytes at addr by a wave in a barrier epoch, and
// returns what is wrong with it: reading bytes that nothing wrote, or a conflict
// with an access of another wave that no barrier separates. until is the last
// epoch that the access may still happen in: later than epoch between the signal
// and the wait of a split barrier, or for a store that was not waited for.
func (l *LDS) Access(wave int, epoch, until int, addr uint32, n int, write, atomic bool) (poison bool, race string) {
	for b := int(addr); b < int(addr)+n && b < len(l.written); b++ {
		if l.opt.Poison && (!write || atomic) && !l.written[b] {
			return true, ""
		}
		if write {
			l.written[b] = true
		}
		if !l.opt.Races {
			continue
		}
		if w := &l.writer[b]; conflicts(w, wave, epoch) && !(w.atomic && atomic) {
			return false, fmt.Sprintf("LDS byte %#x was written by wave %s with no barrier in between", b,
				name(w.wave))
		}
		if r := &l.reader[b]; write && conflicts(r, wave, epoch) && !(r.atomic && atomic) {
			return false, fmt.Sprintf("LDS byte %#x was read by wave %s with no barrier in between", b, name(r.wave))
		}
		if write {
			l.writer[b].record(wave, until, atomic)
		}
		if !write || atomic {
			l.reader[b].record(wave, until, atomic)
		}
	}
	return false, ""
}

// Extend moves the accesses of a wave to a range into a later epoch: they were
// still in flight when the wave passed a barrier.
func (l *LDS) Extend(wave, until int, addr uint32, n int, write bool) {
	if !l.opt.Races {
		return
	}
	kind := l.reader
	if write {
		kind = l.writer
	}
	for b := int(addr); b < int(addr)+n && b < len(kind); b++ {
		if a := &kind[b]; int(a.wave) == wave || a.wave == many {
			a.epoch = max(a.epoch, int32(until))
		}
	}
}

func conflicts(a *access, wave, epoch int) bool {
	return a.wave != nobody && int(a.wave) != wave && int(a.epoch) >= epoch
}

func (a *access) record(wave, epoch int, atomic bool) {
	switch {
	case a.wave == nobody || int(a.epoch) < epoch:
		*a = access{epoch: int32(epoch), wave: int16(wave), atomic: atomic}
	case int(a.wave) != wave:
		a.wave = many
		a.atomic = a.atomic && atomic
	default:
		a.atomic = a.atomic && atomic
	}
}

func name(w int16) string {
	if w == many {
		return "another"
	}
	return fmt.Sprintf("%d", w)
}
