//go:build linux

package fake

import (
	"bytes"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/drv"
)

// driver is a device that the driver has opened on a machine.
type driver struct {
	m *Machine
	p *drv.Process
	d *drv.Device
	s *drv.Stream
}

// open opens GPU 0 of a machine with the driver.
func open(m *Machine, o drv.Options) (*driver, error) {
	if o.RingPackets == 0 {
		o.RingPackets = 64
	}
	o.Lookup = func(string) (string, bool) { return "", false }
	p, err := drv.NewProcess(m, o)
	if err != nil {
		return nil, err
	}
	x := &driver{m: m, p: p}
	gpus, err := p.Devices()
	if err != nil {
		return x, err
	}
	if x.d, err = p.Open(gpus[0]); err != nil {
		return x, err
	}
	x.s, err = x.d.NewStream()
	return x, err
}

func TestDriver(t *testing.T) {
	m := newMachine(t, Config{})
	x, err := open(m, drv.Options{})
	if err != nil {
		t.Fatalf("open: %v; %v", err, m.KernelFault())
	}
	const n = 10000
	dev, err := x.d.Malloc(n)
	if err != nil {
		t.Fatal(err)
	}
	host, err := x.d.HostAlloc(2 * n)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		host[i] = byte(i * 7)
	}
	at := addr(host)
	for _, err := range []error{x.s.CopyHost(dev, at, n, false), x.s.CopyHost(at+n, dev, n, true), x.s.Sync()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(host[:n], host[n:]) {
		t.Error("a copy to the device and back has changed bytes")
	}
	for _, err := range []error{x.d.Free(dev), x.d.Free(at), x.s.Close(), x.d.Close(), x.p.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
	for _, v := range m.Shutdown() {
		t.Error(v)
	}
}
