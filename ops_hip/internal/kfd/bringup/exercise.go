//go:build linux && (amd64 || arm64)

package bringup

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/drv"
)

// exercise uses a device that is up.
type exercise struct {
	*run
	d *drv.Device
	s *drv.Stream
	m *drv.Module
	k *drv.Kernel // fill

	host []byte // two halves
	at   uint64 // its address
	dev  uint64 // as much memory of the device
}

// exerciseBytes is the size of the memory of both sides.
const exerciseBytes = 8 << 20

// all runs the steps, and gives everything back.
func (x *exercise) all() (err error) {
	if x.s, err = x.d.NewStream(); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, x.release())
	}()
	if x.host, err = x.d.HostAlloc(exerciseBytes); err != nil {
		return err
	}
	x.at = address(x.host)
	if x.dev, err = x.d.Malloc(exerciseBytes); err != nil {
		return err
	}
	for _, s := range x.steps() {
		if err := x.step(s.name, s.f); err != nil {
			return err
		}
	}
	return nil
}

// exerciseStep is a step with a device that is up.
type exerciseStep struct {
	name string
	f    func() (string, error)
}

// steps returns what is to be done.
func (x *exercise) steps() []exerciseStep {
	module, soak := exerciseStep{"module", x.module}, exerciseStep{"soak", x.soak}
	switch x.o.Only {
	case "soak":
		return []exerciseStep{soak, {"stale caches", x.stale}}
	case "packet":
		return []exerciseStep{{"a bad packet", x.packet}}
	case "fault":
		return []exerciseStep{module, {"a store to nowhere", x.fault}}
	case "hang":
		return []exerciseStep{{"a queue that hangs", x.hang}}
	}
	steps := []exerciseStep{{"transfers", x.transfers}, module, {"ring that wraps", x.wrap}, {"graph", x.graph}, soak,
		{"stale caches", x.stale}, {"bandwidth", x.bandwidth}}
	if x.o.Limits {
		steps = append(steps, exerciseStep{"nearly all memory", x.limits})
	}
	if x.o.Idle > 0 {
		steps = append(steps, exerciseStep{"idle", x.idle})
	}
	if x.o.Suspend {
		steps = append(steps, exerciseStep{"suspend", x.suspend})
	}
	return steps
}

// release gives back what the exercise holds.
func (x *exercise) release() error {
	errs := []error{x.s.Close()}
	if x.m != nil {
		errs = append(errs, x.m.Unload())
	}
	if x.dev != 0 {
		errs = append(errs, x.d.Free(x.dev))
	}
	if x.host != nil {
		errs = append(errs, x.d.Free(x.at))
	}
	return errors.Join(errs...)
}

func address(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

// transfers copies from the host to the device and back, of many sizes at all alignments.
func (x *exercise) transfers() (string, error) {
	r := rand.New(rand.NewPCG(1, 1))
	half := len(x.host) / 2
	total, cases := int64(0), 0
	for _, n := range []int{1, 2, 15, 16, 17, 255, 4096, 65535, 1 << 20, 1<<21 + 3} {
		for range 8 {
			from, at, to := r.IntN(32), r.IntN(32), half+r.IntN(32)
			if n > 4096 {
				at = from // equal modulo 16, as most are
			}
			for i := range n {
				x.host[from+i], x.host[to+i] = byte(r.Uint32()), 0
			}
			if err := errors.Join(x.s.CopyHost(x.dev+uint64(at), x.at+uint64(from), int64(n), false),
				x.s.CopyHost(x.at+uint64(to), x.dev+uint64(at), int64(n), true), x.s.Sync()); err != nil {
				return "", err
			}
			if !bytes.Equal(x.host[from:from+n], x.host[to:to+n]) {
				return "", fmt.Errorf("%d bytes from %d by %d to %d come back changed", n, from, at, to)
			}
			total, cases = total+int64(n), cases+1
		}
	}
	return fmt.Sprintf("%d copies of %d bytes in all there and back", cases, total), nil
}

// module loads a code object to the device.
func (x *exercise) module() (string, error) {
	image, err := drv.CopyObject(x.d.GPU().Target)
	if err != nil {
		return "", err
	}
	if x.m, err = x.d.LoadModule(image); err != nil {
		return "", err
	}
	x.k, err = x.m.Function("fill")
	return fmt.Sprintf("%d bytes", len(image)), err
}

// launch fills n bytes at an offset of the device's memory with a value, by the module's kernel. slot is where in the
// host's memory its arguments go.
func (x *exercise) launch(slot int, to uint64, n int, value byte) error {
	b := x.host[64*slot:]
	le := binary.LittleEndian
	for i, v := range []uint64{to, uint64(n), uint64(value) * 0x01010101, 256} {
		if a := x.k.Args[i]; a.Size == 4 {
			le.PutUint32(b[a.Offset:], uint32(v))
		} else {
			le.PutUint64(b[a.Offset:], v)
		}
	}
	last := x.k.Args[len(x.k.Args)-1]
	return x.s.Launch(x.k, [3]uint32{1, 1, 1}, [3]uint32{256, 1, 1}, x.at+uint64(64*slot), last.Offset+last.Size)
}

// fetch reads n bytes of the device's memory.
func (x *exercise) fetch(at uint64, n int) ([]byte, error) {
	half := len(x.host) / 2
	err := errors.Join(x.s.CopyHost(x.at+uint64(half), at, int64(n), true), x.s.Sync())
	return x.host[half : half+n], err
}

// wrap launches more than the ring holds, twice over, each at a byte of its own.
func (x *exercise) wrap() (string, error) {
	const n = 2*8192 + 100
	if err := x.s.Fill(x.dev, 0xee, n); err != nil {
		return "", err
	}
	for i := range n {
		if err := x.s.Fill(x.dev+uint64(i), byte(i%251), 1); err != nil {
			return "", err
		}
	}
	got, err := x.fetch(x.dev, n)
	if err != nil {
		return "", err
	}
	for i, b := range got {
		if b != byte(i%251) {
			return "", fmt.Errorf("dispatch %d of %d has stored %#x", i, n, b)
		}
	}
	return fmt.Sprintf("%d dispatches without a wait", n), nil
}

// graph replays 1,000 launches.
func (x *exercise) graph() (string, error) {
	const n, each, rounds = 1000, 32, 20
	if err := x.s.BeginCapture(); err != nil {
		return "", err
	}
	var lerr error
	for i := range n {
		if lerr = x.launch(i, x.dev+uint64(each*i), each, byte(i%253+1)); lerr != nil {
			break
		}
	}
	g, err := x.s.EndCapture()
	if err := errors.Join(lerr, err); err != nil {
		return "", err
	}
	clear(x.host[:64*n]) // the graph has arguments of its own
	var call, all time.Duration
	for round := range rounds {
		if err := errors.Join(x.s.Fill(x.dev, 0, n*each), x.s.Sync()); err != nil {
			return "", err
		}
		start := x.run.s.Now()
		if err := g.Launch(x.s); err != nil {
			return "", err
		}
		call += x.run.s.Now() - start
		if err := x.s.Sync(); err != nil {
			return "", err
		}
		all += x.run.s.Now() - start
		got, err := x.fetch(x.dev, n*each)
		if err != nil {
			return "", err
		}
		for i, b := range got {
			if b != byte(i/each%253+1) {
				return "", fmt.Errorf("replay %d: launch %d has stored %#x", round, i/each, b)
			}
		}
	}
	return fmt.Sprintf("%d replays of %d launches: %.1f us for a call, %.2f us for a launch", rounds, n,
		call.Seconds()*1e6/rounds, all.Seconds()*1e6/rounds/n), g.Close()
}

// soak does single dispatches of random sizes, each checked.
func (x *exercise) soak() (string, error) {
	r := rand.New(rand.NewPCG(2, 2))
	before, _, err := x.d.Memory()
	if err != nil {
		return "", err
	}
	const most = 64 << 10
	for i := 0; i < x.o.Soak; i += 2 {
		if err := x.ctx.Err(); err != nil {
			return "", err
		}
		n, at, value := 1+r.IntN(1+r.IntN(most)), r.IntN(4096), byte(r.Uint32())
		if err := x.s.Fill(x.dev+uint64(at), value, int64(n)); err != nil {
			return "", err
		}
		got, err := x.fetch(x.dev+uint64(at), n)
		if err != nil {
			return "", err
		}
		for j, b := range got {
			if b != value {
				return "", fmt.Errorf("dispatch %d: byte %d of %d is %#x, not %#x", i, j, n, b, value)
			}
		}
	}
	after, _, err := x.d.Memory()
	text := fmt.Sprintf("%d dispatches", x.o.Soak)
	if after < before {
		text += fmt.Sprintf("; UNUSUAL: %d bytes less are free than before, unless others took them", before-after)
	}
	return text, err
}

// stale lets each kernel read what the one before has stored, with arguments that the host stores meanwhile.
func (x *exercise) stale() (string, error) {
	n := x.o.Soak
	const size, places = 256, 64
	for i := range n {
		from, to := x.dev+uint64(i%places*size), x.dev+uint64((i+1)%places*size)
		if i%places == 0 {
			if err := x.s.Fill(from, byte(i/places), size); err != nil {
				return "", err
			}
		}
		if err := x.s.Copy(to, from, size); err != nil {
			return "", err
		}
		if i%places == places-2 {
			got, err := x.fetch(to, size)
			if err != nil {
				return "", err
			}
			if !bytes.Equal(got, bytes.Repeat([]byte{byte(i / places)}, size)) {
				return "", fmt.Errorf("after %d copies in a row the bytes begin with % x", i, got[:8])
			}
		}
	}
	return fmt.Sprintf("%d kernels that each read what the one before stored", n), nil
}

// bandwidth measures; it judges nothing.
func (x *exercise) bandwidth() (string, error) {
	const half = exerciseBytes / 2
	text := ""
	for _, t := range []struct {
		name string
		f    func() error
	}{{"fill", func() error { return x.s.Fill(x.dev, 1, half) }},
		{"copy", func() error { return x.s.Copy(x.dev+half, x.dev, half) }},
		{"to the device", func() error { return x.s.CopyHost(x.dev, x.at, half, false) }},
		{"to the host", func() error { return x.s.CopyHost(x.at, x.dev, half, true) }}} {
		const rounds = 3
		start := x.run.s.Now()
		for range rounds {
			if err := t.f(); err != nil {
				return "", err
			}
		}
		if err := x.s.Sync(); err != nil {
			return "", err
		}
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%s %.2f GB/s", t.name, rounds*half/(x.run.s.Now()-start).Seconds()/1e9)
	}
	return text, nil
}

// limits takes nearly all memory, uses it, and is refused more.
func (x *exercise) limits() (text string, err error) {
	free, _, err := x.d.Memory()
	if err != nil {
		return "", err
	}
	const piece = 256 << 20
	var held []uint64
	defer func() {
		for _, p := range held {
			err = errors.Join(err, x.d.Free(p))
		}
	}()
	for n := int64(0); n+piece <= free/100*95; n += piece {
		p, err := x.d.Malloc(piece)
		if err != nil {
			return "", err
		}
		held = append(held, p)
		if err := x.s.Fill(p, byte(len(held)), piece); err != nil {
			return "", err
		}
	}
	for i, p := range held {
		got, err := x.fetch(p+piece-4096, 4096)
		if err != nil {
			return "", err
		}
		if !bytes.Equal(got, bytes.Repeat([]byte{byte(i + 1)}, 4096)) {
			return "", fmt.Errorf("piece %d of %d has lost its bytes", i, len(held))
		}
	}
	if _, err := x.d.Malloc(free + piece); !errors.Is(err, drv.ErrOutOfMemory) {
		return "", fmt.Errorf("more memory than there is: %v, want %w", err, drv.ErrOutOfMemory)
	}
	return fmt.Sprintf("%d pieces of 256 MiB; more is refused", len(held)), nil
}
