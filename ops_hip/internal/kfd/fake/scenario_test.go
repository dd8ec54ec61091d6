//go:build linux

package fake

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/drv"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/sys"
)

// scenario uses all of the driver once, and checks every byte: copies, fills, a module, launches that wrap the ring,
// events, a graph that is replayed, all freed again.
type scenario struct {
	d    *drv.Device
	s    *drv.Stream
	mod  *drv.Module
	g    *drv.Graph
	fill *drv.Kernel
	host []byte // a page of arguments, then data
	dev  uint64
}

const (
	argsBytes = 4096
	dataBytes = 8192
)

// timeout is the watchdog's in scenarios, in simulated time.
const timeout = 3 * time.Second

// openOn opens the first GPU by way of s.
func openOn(s sys.Sys) (*drv.Process, *drv.Device, error) { return openWith(s, drv.Options{}) }

// openWith is openOn with options beside those of every scenario.
func openWith(s sys.Sys, o drv.Options) (*drv.Process, *drv.Device, error) {
	o.Timeout, o.RingPackets, o.Lookup = timeout, 64, func(string) (string, bool) { return "", false }
	p, err := drv.NewProcess(s, o)
	if err != nil {
		return nil, nil, err
	}
	gpus, err := p.Devices()
	if err != nil {
		return p, nil, err
	}
	d, err := p.Open(gpus[0])
	return p, d, err
}

// kernels returns the code object that the driver copies with, which also serves as a module of a user.
func kernels(target string) ([]byte, error) {
	return os.ReadFile("../drv/objects/" + target + "/copy.co")
}

// run goes through the scenario. The error is the first, joined with those of closing, which is done in any case.
func run(s sys.Sys, target string) error { return runWith(s, target, drv.Options{}) }

// runWith is run with options.
func runWith(s sys.Sys, target string, o drv.Options) (err error) {
	p, d, err := openWith(s, o)
	if d != nil {
		x := &scenario{d: d}
		err = x.work(target)
		err = errors.Join(err, x.close())
	}
	if p != nil {
		err = errors.Join(err, p.Close())
	}
	return err
}

func (x *scenario) work(target string) error {
	steps := []func() error{x.memory, x.copies, func() error { return x.module(target) }, x.launches, x.graph}
	for _, f := range steps {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func (x *scenario) memory() (err error) {
	if x.s, err = x.d.NewStream(); err != nil {
		return err
	}
	if x.dev, err = x.d.Malloc(dataBytes); err != nil {
		return err
	}
	x.host, err = x.d.HostAlloc(argsBytes + 2*dataBytes)
	return err
}

// part returns a part of the host's memory and its address.
func (x *scenario) part(at, n int) ([]byte, uint64) {
	b := x.host[at : at+n]
	return b, addr(b)
}

func (x *scenario) copies() error {
	from, a := x.part(argsBytes, dataBytes)
	to, b := x.part(argsBytes+dataBytes, dataBytes)
	for i := range from {
		from[i], to[i] = byte(i*7+i>>8), 0
	}
	err := errors.Join(x.s.CopyHost(x.dev, a, dataBytes, false), x.s.Fill(x.dev+100, 0x33, 1000),
		x.s.Copy(x.dev+4000, x.dev+101, 50), x.s.CopyHost(b, x.dev, dataBytes, true), x.s.Sync())
	if err != nil {
		return err
	}
	want := bytes.Clone(from)
	copy(want[100:], bytes.Repeat([]byte{0x33}, 1000))
	copy(want[4000:], want[101:151])
	return same("copies", to, want)
}

func same(what string, got, want []byte) error {
	for i := range want {
		if got[i] != want[i] {
			return fmt.Errorf("%s: byte %d is %#x, want %#x", what, i, got[i], want[i])
		}
	}
	return nil
}

func (x *scenario) module(target string) error {
	image, err := kernels(target)
	if err != nil {
		return err
	}
	if x.mod, err = x.d.LoadModule(image); err != nil {
		return err
	}
	x.fill, err = x.mod.Function("fill")
	return err
}

// args writes the arguments that fill n bytes at to with value, in slot i.
func (x *scenario) args(i int, to, n uint64, value byte) uint64 {
	b, at := x.part(64*i, 64)
	le.PutUint64(b, to)
	le.PutUint64(b[8:], n)
	le.PutUint32(b[16:], uint32(value)*0x01010101)
	le.PutUint32(b[20:], 256)
	return at
}

func (x *scenario) launch(at uint64) error {
	return x.s.Launch(x.fill, [3]uint32{1, 1, 1}, [3]uint32{256, 1, 1}, at, 24)
}

// launches starts more kernels than the ring holds, each of which fills a piece with its own value, between two events.
func (x *scenario) launches() error {
	const count = 100
	from, err := x.d.NewEvent()
	if err != nil {
		return err
	}
	to, err := x.d.NewEvent()
	if err != nil {
		return err
	}
	if err := from.Record(x.s); err != nil {
		return err
	}
	data, base := x.part(argsBytes, dataBytes)
	clear(data)
	for i := range count {
		slot := i % 16
		if slot == 0 {
			if err := x.s.Sync(); err != nil { // arguments are free again
				return err
			}
		}
		if err := x.launch(x.args(slot, base+uint64(16*i), 16, byte(i+1))); err != nil {
			return err
		}
	}
	if err := errors.Join(to.Record(x.s), to.Sync()); err != nil {
		return err
	}
	for i := range count {
		if err := same(fmt.Sprintf("launch %d", i), data[16*i:], bytes.Repeat([]byte{byte(i + 1)}, 16)); err != nil {
			return err
		}
	}
	if t, err := drv.Elapsed(from, to); err != nil || t < 0 {
		return fmt.Errorf("time between two events is %v, %v", t, err)
	}
	return errors.Join(from.Close(), to.Close())
}

// graph replays launches that depend on each other.
func (x *scenario) graph() error {
	if err := x.s.BeginCapture(); err != nil {
		return err
	}
	for i := range 5 {
		if err := x.launch(x.args(i, x.dev+uint64(100*i), 200, byte(0x40+i))); err != nil {
			return err
		}
	}
	g, err := x.s.EndCapture()
	if err != nil {
		return err
	}
	x.g = g
	got, at := x.part(argsBytes, dataBytes)
	for i := range 20 {
		if err := errors.Join(x.s.Fill(x.dev, byte(i), dataBytes), g.Launch(x.s)); err != nil {
			return err
		}
	}
	if err := errors.Join(x.s.CopyHost(at, x.dev, dataBytes, true), x.s.Sync()); err != nil {
		return err
	}
	want := bytes.Repeat([]byte{19}, dataBytes)
	for i := range 5 {
		copy(want[100*i:], bytes.Repeat([]byte{byte(0x40 + i)}, 200))
	}
	return same("graph", got, want)
}

// close frees what there is, also after a fault.
func (x *scenario) close() error {
	var errs []error
	if x.g != nil {
		errs = append(errs, x.g.Close())
	}
	if x.mod != nil {
		errs = append(errs, x.mod.Unload())
	}
	if x.host != nil {
		errs = append(errs, x.d.Free(addr(x.host)))
	}
	if x.dev != 0 {
		errs = append(errs, x.d.Free(x.dev))
	}
	if x.s != nil {
		errs = append(errs, x.s.Close())
	}
	return errors.Join(append(errs, x.d.Close())...)
}
