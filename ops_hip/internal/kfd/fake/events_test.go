//go:build linux

package fake

import (
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

func waitFor(c *client, all bool, ms uint32, d ...*abi.EventData) (uint32, error) {
	records := make([]abi.EventData, len(d))
	for i := range d {
		records[i] = *d[i]
	}
	a := abi.WaitEvents{Ptr: uint64(uintptr(unsafe.Pointer(&records[0]))), N: uint32(len(d)), TimeoutMS: ms}
	if all {
		a.All = 1
	}
	err := call(c, abi.IocWaitEvents, &a)
	for i := range d {
		*d[i] = records[i]
	}
	return a.Result, err
}

func TestEvents(t *testing.T) {
	m := newMachine(t, Config{})
	c := newClient(t, m)
	c.ready()
	other, err := c.createEvent(abi.EventSignal)
	c.must("CREATE_EVENT", err)
	result := func(what string, want uint32, all bool, ms uint32, d ...*abi.EventData) {
		t.Helper()
		before := m.Now()
		r, err := waitFor(c, all, ms, d...)
		if err != nil || r != want {
			t.Errorf("%s: result %d, %v, want %d", what, r, err, want)
		}
		if took := m.Now() - before; want == abi.WaitTimeout && took < time.Duration(ms)*time.Millisecond {
			t.Errorf("%s: timed out after %v, want %d ms", what, took, ms)
		}
	}
	set := func(id uint32) { c.must("SET_EVENT", call(c, abi.IocSetEvent, &abi.EventID{ID: id})) }
	a, b := &abi.EventData{EventID: c.event}, &abi.EventData{EventID: other}
	result("nothing set, polled", abi.WaitTimeout, false, 0, a, b)
	result("nothing set", abi.WaitTimeout, false, 5000, a, b)
	set(c.event)
	result("any of two", abi.WaitComplete, false, 10, a, b)
	if a.Data[0] != 2 || b.Data[0] != 0 {
		t.Errorf("ages are %d and %d, want 2 of the one that happened", a.Data[0], b.Data[0])
	}
	result("reset by the wait", abi.WaitTimeout, false, 10, &abi.EventData{EventID: c.event}, b)
	result("an older age", abi.WaitComplete, false, 10, &abi.EventData{EventID: c.event, Data: [4]uint64{1}}, b)
	result("the same age", abi.WaitTimeout, false, 10, &abi.EventData{EventID: c.event, Data: [4]uint64{2}}, b)
	set(other)
	result("all of two", abi.WaitTimeout, true, 10, &abi.EventData{EventID: c.event}, b)
	m.Interrupt(c.event)
	result("after an interrupt", abi.WaitComplete, false, 10, &abi.EventData{EventID: c.event})
	c.must("RESET_EVENT", call(c, abi.IocResetEvent, &abi.EventID{ID: other}))

	m.Inject(Fault{At: AtWait, Err: syscall.EINTR})
	w := abi.WaitEvents{Ptr: uint64(uintptr(unsafe.Pointer(a))), N: 1, TimeoutMS: 100}
	a.Data[0] = 0
	expect(t, "interrupted wait", call(c, abi.IocWaitEvents, &w), syscall.EINTR)
	if w.TimeoutMS != 50 {
		t.Errorf("%d ms are left of a wait that was interrupted half way, want 50", w.TimeoutMS)
	}
	tripped(t, m)

	go func() {
		m.Sleep(time.Millisecond)
		a := abi.EventID{ID: other}
		_ = call(c, abi.IocDestroyEvent, &a)
	}()
	b.Data[0] = 0
	if r, err := waitFor(c, false, ^uint32(0), b); err != syscall.EIO && err != syscall.EINVAL || r != abi.WaitFail {
		t.Errorf("an event that is destroyed: result %d, %v", r, err)
	}
}

// What nobody empties stays empty: an interrupt without a written slot is none.
func TestSpuriousInterrupt(t *testing.T) {
	m := newMachine(t, Config{})
	c := newClient(t, m)
	c.ready()
	m.mu.Lock()
	m.interrupt(c.event)
	m.mu.Unlock()
	if r := c.wait(10); r != abi.WaitTimeout {
		t.Errorf("result %d of an interrupt that nobody caused", r)
	}
	tripped(t, m)
}
