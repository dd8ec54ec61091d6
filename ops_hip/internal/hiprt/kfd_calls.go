//go:build linux && (amd64 || arm64)

package hiprt

import (
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/drv"
)

// object is what the handles of a kind stand for.
type object interface {
	*drv.Module | *drv.Kernel | *drv.Stream | *drv.Event | *drv.Graph
}

// keep gives x, which a call of the driver's returned, a handle.
func keep[H ~uintptr, X object](k *kfd, m map[H]X, x X, err error) (H, error) {
	if err != nil {
		return 0, kfdError(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.next++
	m[H(k.next)] = x
	return H(k.next), nil
}

// of returns what a handle stands for.
func of[H ~uintptr, X object](k *kfd, m map[H]X, h H) (X, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	x, ok := m[h]
	if !ok {
		return nil, fmt.Errorf("hiprt: kfd: unknown handle %d of a %T", h, x)
	}
	return x, nil
}

// drop is of, and forgets the handle.
func drop[H ~uintptr, X object](k *kfd, m map[H]X, h H) (X, error) {
	x, err := of(k, m, h)
	if err == nil {
		k.mu.Lock()
		delete(m, h)
		k.mu.Unlock()
	}
	return x, err
}

func (k *kfd) Malloc(n int64) (Ptr, error) {
	d, err := k.here()
	if err != nil {
		return 0, err
	}
	va, err := d.Malloc(n)
	return k.own(d, Ptr(va), err)
}

// own remembers whose memory p is.
func (k *kfd) own(d *drv.Device, p Ptr, err error) (Ptr, error) {
	if err != nil {
		return 0, kfdError(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.memory[p] = d
	return p, nil
}

func (k *kfd) Free(p Ptr) error {
	k.mu.Lock()
	d := k.memory[p]
	delete(k.memory, p)
	k.mu.Unlock()
	if d == nil {
		return fmt.Errorf("hiprt: kfd: no allocation begins at %#x", uintptr(p))
	}
	return kfdError(d.Free(uint64(p)))
}

func (k *kfd) HostAlloc(n int64) (Host, error) {
	d, err := k.here()
	if err != nil {
		return Host{}, err
	}
	b, err := d.HostAlloc(n)
	p, err := k.own(d, Ptr(data(b)), err)
	if err != nil {
		return Host{}, err
	}
	return Host{b, p}, nil
}

func (k *kfd) HostFree(h Host) error { return k.Free(h.Addr) }

// on runs f on a stream.
func (k *kfd) on(s Stream, f func(*drv.Stream) error) error {
	st, err := of(k, k.streams, s)
	if err != nil {
		return err
	}
	return kfdError(f(st))
}

func (k *kfd) CopyToDevice(dst Ptr, src []byte, s Stream) error {
	return k.on(s, func(st *drv.Stream) error {
		return st.CopyHost(uint64(dst), uint64(data(src)), int64(len(src)), false)
	})
}

func (k *kfd) CopyToHost(dst []byte, src Ptr, s Stream) error {
	return k.on(s, func(st *drv.Stream) error {
		return st.CopyHost(uint64(data(dst)), uint64(src), int64(len(dst)), true)
	})
}

func (k *kfd) Memset(dst Ptr, value byte, n int64, s Stream) error {
	return k.on(s, func(st *drv.Stream) error { return st.Fill(uint64(dst), value, n) })
}

func (k *kfd) CopyOnDevice(dst, src Ptr, n int64, s Stream) error {
	return k.on(s, func(st *drv.Stream) error { return st.Copy(uint64(dst), uint64(src), n) })
}

// CopyPeer goes through memory of the host that both devices map, and waits.
func (k *kfd) CopyPeer(dst Ptr, dstDev int, src Ptr, srcDev int, n int64, s Stream) error {
	if dstDev == srcDev {
		return k.CopyOnDevice(dst, src, n, s)
	}
	k.mu.Lock()
	to, from := k.devs[dstDev], k.devs[srcDev]
	k.mu.Unlock()
	if to == nil || from == nil || to.dev == nil || from.dev == nil {
		return fmt.Errorf("hiprt: kfd: a copy from device %d to %d, which are not both open", srcDev, dstDev)
	}
	return k.on(s, func(st *drv.Stream) error {
		return errors.Join(st.Sync(), drv.CopyPeer(to.dev, uint64(dst), from.dev, uint64(src), n))
	})
}

func (k *kfd) LoadModule(image []byte) (Module, error) {
	d, err := k.here()
	if err != nil {
		return 0, err
	}
	m, err := d.LoadModule(image)
	return keep(k, k.modules, m, err)
}

func (k *kfd) UnloadModule(m Module) error {
	x, err := drop(k, k.modules, m)
	if err != nil {
		return err
	}
	return kfdError(x.Unload())
}

func (k *kfd) Function(m Module, name string) (Func, error) {
	x, err := of(k, k.modules, m)
	if err != nil {
		return 0, err
	}
	f, err := x.Function(name)
	return keep(k, k.funcs, f, err)
}

// Prepare copies the arguments. Kernels read them where they are.
func (k *kfd) Prepare(l *Launch, mem []byte) {
	copy(mem, l.Args)
	l.call[0] = data(mem)
}

func (k *kfd) Launch(l *Launch, s Stream) error {
	f, err := of(k, k.funcs, l.Func)
	if err != nil {
		return err
	}
	return k.on(s, func(st *drv.Stream) error {
		return st.Launch(f, l.Grid, l.Block, uint64(l.call[0]), len(l.Args))
	})
}

func (k *kfd) NewStream() (Stream, error) {
	d, err := k.here()
	if err != nil {
		return 0, err
	}
	s, err := d.NewStream()
	return keep(k, k.streams, s, err)
}

func (k *kfd) CloseStream(s Stream) error {
	x, err := drop(k, k.streams, s)
	if err != nil {
		return err
	}
	return kfdError(x.Close())
}

func (k *kfd) SyncStream(s Stream) error { return k.on(s, (*drv.Stream).Sync) }

func (k *kfd) NewEvent() (Event, error) {
	d, err := k.here()
	if err != nil {
		return 0, err
	}
	e, err := d.NewEvent()
	return keep(k, k.events, e, err)
}

func (k *kfd) CloseEvent(e Event) error {
	x, err := drop(k, k.events, e)
	if err != nil {
		return err
	}
	return kfdError(x.Close())
}

func (k *kfd) RecordEvent(e Event, s Stream) error {
	x, err := of(k, k.events, e)
	if err != nil {
		return err
	}
	return k.on(s, x.Record)
}

func (k *kfd) WaitEvent(e Event, s Stream) error {
	x, err := of(k, k.events, e)
	if err != nil {
		return err
	}
	return k.on(s, func(st *drv.Stream) error { return st.WaitFor(x) })
}

func (k *kfd) SyncEvent(e Event) error {
	x, err := of(k, k.events, e)
	if err != nil {
		return err
	}
	return kfdError(x.Sync())
}

func (k *kfd) Elapsed(from, to Event) (float32, error) {
	a, err := of(k, k.events, from)
	if err != nil {
		return 0, err
	}
	b, err := of(k, k.events, to)
	if err != nil {
		return 0, err
	}
	t, err := drv.Elapsed(a, b)
	return float32(t.Seconds() * 1000), kfdError(err)
}

func (k *kfd) BeginCapture(s Stream) error { return k.on(s, (*drv.Stream).BeginCapture) }

func (k *kfd) EndCapture(s Stream) (Graph, error) {
	st, err := of(k, k.streams, s)
	if err != nil {
		return 0, err
	}
	g, err := st.EndCapture()
	return keep(k, k.graphs, g, err)
}

func (k *kfd) LaunchGraph(g Graph, s Stream) error {
	x, err := of(k, k.graphs, g)
	if err != nil {
		return err
	}
	return k.on(s, x.Launch)
}

func (k *kfd) CloseGraph(g Graph) error {
	x, err := drop(k, k.graphs, g)
	if err != nil {
		return err
	}
	return kfdError(x.Close())
}
