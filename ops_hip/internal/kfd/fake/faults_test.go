//go:build linux

package fake

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/drv"
)

// faultCase is something that goes wrong while the driver works.
type faultCase struct {
	name  string
	cfg   Config
	fault Fault
	do    func(m *Machine) // in place of a fault
	is    error            // nil: the driver carries on, and all results are right
	text  string           // in the error
	keeps bool             // the driver must not free anything
	least time.Duration    // of simulated time that it takes
}

// fails is a call that fails the first time.
func fails(name string, at Point, err syscall.Errno, is error, text string) faultCase {
	return faultCase{name: name, fault: Fault{At: at, Err: err}, is: is, text: text}
}

// some happens to every fifth that passes.
func some(name string, f Fault) faultCase {
	f.Count, f.Chance = -1, 0.2
	return faultCase{name: name, fault: f}
}

func faultCases() []faultCase {
	lost := drv.ErrLost
	list := []faultCase{
		some("interrupted ioctls", Fault{At: AtIoctl, Err: syscall.EINTR}),
		some("interrupted maps", Fault{At: AtMap, Err: syscall.EINTR, Partial: true}),
		some("interrupted waits", Fault{At: AtWait, Err: syscall.EINTR}),
		some("lost interrupts", Fault{At: AtLostInterrupt}),
		{name: "no interrupts", fault: Fault{At: AtLostInterrupt, Count: -1}},
		some("events before their signals", Fault{At: AtEarlyEvent, Delay: 5 * time.Millisecond}),
		some("late completion", Fault{At: AtDelay, Delay: 200 * time.Millisecond}),
		some("eviction and restore", Fault{At: AtEvict, Delay: 500 * time.Millisecond}),
		{name: "timestamps of zero", fault: Fault{At: AtTimestamps, Count: -1}},
		{name: "slow end of a queue", fault: Fault{At: AtDestroyQueue, Delay: 9 * time.Second}, least: 9 * time.Second},
		{name: "spurious events", do: spurious},
		{name: "sysfs wants more", do: func(m *Machine) { m.SetProperty(0, "cwsr_size", 48<<20) }},
		{name: "sysfs knows no sizes", do: func(m *Machine) {
			m.SetProperty(0, "cwsr_size", 0)
			m.SetProperty(0, "ctl_stack_size", 0)
		}},
		fails("kernel without RUNTIME_ENABLE", AtRuntimeEnable, syscall.ENOTTY, nil, ""),
		fails("RUNTIME_ENABLE of another", AtRuntimeEnable, syscall.EBUSY, nil, ""),

		{name: "no /dev/kfd", fault: Fault{At: AtOpen, Name: kfdPath, Err: syscall.ENOENT}, is: drv.ErrNoKFD},
		{name: "no permission", fault: Fault{At: AtOpen, Name: kfdPath, Err: syscall.EACCES}, is: drv.ErrNoDevice,
			text: "render"},
		{name: "forbidden by a control group", fault: Fault{At: AtOpen, Name: kfdPath, Err: syscall.EPERM},
			is: drv.ErrNoDevice, text: "control group"},
		{name: "reset while opening", fault: Fault{At: AtOpen, Name: kfdPath, Err: syscall.EINVAL, Count: 10}},
		{name: "reset that does not end", fault: Fault{At: AtOpen, Name: kfdPath, Err: syscall.EINVAL, Count: -1},
			is: drv.ErrNoDevice, text: "reset", least: 2 * time.Second},
		{name: "no permission for the render node", fault: Fault{At: AtOpen, Name: renderPath + "128",
			Err: syscall.EACCES}, is: drv.ErrNoDevice, text: "render"},
		{name: "no GPU", cfg: Config{GPUs: []GPU{}}, do: func(*Machine) {}, is: drv.ErrNoDevice, text: "no AMD GPU"},
		{name: "hidden node", do: func(m *Machine) { m.Deny(nodesDir+"1/gpu_id", syscall.EPERM) }, is: drv.ErrNoDevice},
		{name: "no driver", do: func(m *Machine) {
			m.RemoveFiles("/sys/devices/virtual/kfd")
			m.RemoveFiles("/sys/module/amdgpu")
		}, is: drv.ErrNoKFD, text: "not loaded"},
		{name: "driver without KFD", do: func(m *Machine) { m.RemoveFiles("/sys/devices/virtual/kfd") },
			is: drv.ErrNoKFD, text: "has no KFD"},
		{name: "old kernel", cfg: Config{Kernel: Kernel{Name: "6.4", Minor: 13}}, do: func(*Machine) {}, is: drv.ErrNoKFD, text: "1.14"},
		fails("HIP drives the GPU", AtAcquireVM, syscall.EBUSY, syscall.EBUSY, "libamdhip64"),
		fails("GPU without addresses", AtApertures, 0, drv.ErrNoDevice, "0 GPUs"),
		fails("event page of another", AtCreateEvent, syscall.EINVAL, syscall.EINVAL, "libamdhip64"),
		fails("refused queue", AtCreateQueue, syscall.EINVAL, syscall.EINVAL, "46047232"),
		fails("queue without VM", AtCreateQueue, syscall.ESRCH, syscall.ESRCH, ""),
		fails("scheduler does not answer", AtCreateQueue, syscall.EIO, syscall.EIO, "restart the program"),
		fails("doorbells cannot be mapped", AtMmapDoorbell, syscall.ENOMEM, drv.ErrOutOfMemory, "doorbells"),
		fails("queue is not preempted", AtDestroyQueue, syscall.ETIME, syscall.ETIME, ""),

		{name: "queue never starts", fault: Fault{At: AtStart}, is: drv.ErrHang, text: "never started", keeps: true,
			least: timeout},
	}
	for _, skip := range []int{0, 1, 2, 20, 150} {
		at := func(name, text string, f Fault) faultCase {
			f.Skip = skip
			return faultCase{name: fmt.Sprintf("%s in packet %d", name, skip), fault: f, is: lost, text: text}
		}
		hang := at("hang", "no progress", Fault{At: AtHang})
		hang.is, hang.keeps, hang.least = drv.ErrHang, true, timeout
		gone := at("removal", "", Fault{At: AtRemove})
		gone.is, gone.keeps = syscall.ENODEV, true // from whichever call comes first, and from closing
		list = append(list, hang, gone, at("reset", "reset", Fault{At: AtReset}),
			at("memory fault", "0x123456000", Fault{At: AtVMFault, Value: 0x123456789}),
			at("bad packet", "vendor packet", Fault{At: AtBadPacket, Value: abi.ECQueueVendor}))
	}
	return list
}

// spurious raises interrupts that nobody caused, as long as the machine runs.
func spurious(m *Machine) {
	go func() {
		for id := uint32(0); ; id = (id + 1) % 8 {
			m.mu.Lock()
			closed := m.closed
			m.mu.Unlock()
			if closed {
				return
			}
			m.Interrupt(id)
			time.Sleep(20 * time.Microsecond)
		}
	}()
}

// limit bounds a scenario in simulated time, and patience in real time.
const (
	limit    = 3 * time.Minute
	patience = 20 * time.Second
)

func (x *faultCase) run(t *testing.T, code *CodeCache) {
	if x.cfg.GPUs == nil {
		x.cfg.GPUs = []GPU{Card("gfx1100")}
	}
	x.cfg.Code, x.cfg.Seed = code, 7
	m := New(x.cfg)
	happened := func() int { return 1 }
	if x.do != nil {
		x.do(m)
	} else {
		happened = m.Inject(x.fault)
	}
	start, real := m.Now(), time.Now()
	err := guarded(m)
	took := m.Now() - start
	if happened() == 0 {
		t.Error("the fault did not happen")
	}
	if took < x.least || took > limit || time.Since(real) > patience {
		t.Errorf("it took %v, %v of simulated time, want between %v and %v", time.Since(real), took, x.least, limit)
	}
	switch {
	case x.is == nil && err != nil:
		t.Errorf("%v; %v", err, m.KernelFault())
	case x.is != nil && (!errors.Is(err, x.is) || !strings.Contains(err.Error(), x.text)):
		t.Errorf("error %v, want one that is %q and says %q", err, x.is, x.text)
	default:
		t.Logf("%v", err)
	}
	if u := m.Usage(); !x.keeps && (u.Files != 0 || u.Queues != 0 || u.Events != 0 || u.Buffers > 1) {
		t.Errorf("the process still has %+v", u)
	}
	for _, v := range m.Shutdown() {
		if !x.keeps || v.Rule != "leak" && v.Rule != "close-live" {
			t.Error(v)
		}
	}
}

// guarded runs the scenario; touching memory that is gone is an error.
func guarded(m *Machine) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the host faults: %v", p)
		}
	}()
	target := ""
	if len(m.cfg.GPUs) > 0 {
		target = m.cfg.GPUs[0].Target
	}
	return run(m, target)
}

// Whatever goes wrong, the driver recovers, or says what happened within a bounded time, and leaves nothing.
func TestFaults(t *testing.T) {
	code := NewCodeCache()
	for i, x := range faultCases() {
		t.Run(x.name, func(t *testing.T) {
			if testing.Short() && i%8 != 0 {
				t.Skip("-short leaves most faults to make long")
			}
			x.run(t, code)
		})
	}
}

// Every allocation and every mapping can fail.
func TestOutOfMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves every allocation that fails to make long")
	}
	code := NewCodeCache()
	for at, name := range map[Point]string{AtAlloc: "ALLOC", AtMap: "MAP", AtMmapAnonymous: "addresses",
		AtMmapBuffer: "host's view"} {
		failed := 0
		for k := 0; ; k++ {
			m := New(Config{GPUs: []GPU{Card("gfx1100")}, Code: code, Manual: true})
			happened := m.Inject(Fault{At: at, Skip: k, Err: syscall.ENOMEM})
			err := guarded(m)
			v := m.Shutdown()
			if happened() == 0 {
				if err != nil {
					t.Errorf("%s: without a failure: %v", name, err)
				}
				break
			}
			failed++
			if !errors.Is(err, drv.ErrOutOfMemory) {
				t.Errorf("%s %d: error %v, want ErrOutOfMemory", name, k, err)
			}
			for _, v := range v {
				t.Errorf("%s %d: %v", name, k, v)
			}
		}
		t.Logf("%s: each of %d failed once", name, failed)
		if failed < 8 {
			t.Errorf("%s: only %d were there to fail", name, failed)
		}
	}
}

// The clock of the GPU may jump, and stand at zero.
func TestClockCounters(t *testing.T) {
	m := newMachine(t, Config{})
	c := newClient(t, m)
	a, b := abi.ClockCounters{GPUID: c.gpu}, abi.ClockCounters{GPUID: c.gpu}
	c.must("GET_CLOCK_COUNTERS", call(c, abi.IocGetClockCounters, &a))
	m.Sleep(100 * time.Millisecond)
	c.must("GET_CLOCK_COUNTERS", call(c, abi.IocGetClockCounters, &b))
	if d := b.GPU - a.GPU; d < 9_900_000 || d > 12_000_000 {
		t.Errorf("%d ticks in 100 ms, want 1e7", d)
	}
	m.Inject(Fault{At: AtClock})
	c.must("GET_CLOCK_COUNTERS", call(c, abi.IocGetClockCounters, &b))
	if b.GPU != 0 {
		t.Errorf("the clock reads %d, want 0", b.GPU)
	}
	tripped(t, m)
}
