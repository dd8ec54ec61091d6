package opship

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/devthread"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
)

// Options configure a Device. The zero value is right for use.
type Options struct {
	Direct      bool         // launch kernels one by one, never as a captured graph
	InTurn      bool         // let no launch begin before those before it have ended
	CodeObjects string       // folder of code objects that replaces the linked ones; empty for those
	Choices     string       // file of choices between kernels; empty for none
	Log         *slog.Logger // for what does not fail but should be known; nil: slog.Default

	kernels registry // nil: the registered ones
}

// Open opens the device that the user names: "hip:N", "kfd:N", "cuda:N" (N counts from 0 and may be left
// out) or "emu:TARGET", with the options of the environment. The error says what to do about it.
func Open(name string) (*Device, error) { return OpenWith(name, FromEnv()) }

// OpenWith is Open with the given options.
func OpenWith(name string, o Options) (*Device, error) {
	kind, arg, _ := strings.Cut(name, ":")
	ordinal, target := 0, ""
	switch kind {
	case "hip", "kfd", "cuda":
		if arg != "" {
			n, err := strconv.Atoi(arg)
			if err != nil || n < 0 || n > 1<<10 {
				return nil, fmt.Errorf("opship: device %q: %q is no device number", name, arg)
			}
			ordinal = n
		}
		name = fmt.Sprintf("%s:%d", kind, ordinal)
	case "emu":
		if arg == "" {
			return nil, fmt.Errorf("opship: device %q: name the target to emulate, for example emu:gfx1100", name)
		}
		target = arg
	default:
		return nil, fmt.Errorf("opship: unknown device %q, want hip:N, kfd:N, cuda:N or emu:TARGET", name)
	}
	rt, err := hiprt.Open(kind, target)
	if err != nil {
		return nil, fmt.Errorf("opship: device %s: %w", name, err)
	}
	return openOn(rt, name, ordinal, o)
}

// openOn opens device number ordinal of a runtime.
func openOn(rt hiprt.Runtime, name string, ordinal int, o Options) (*Device, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.kernels == nil {
		o.kernels = kernels
	}
	d := &Device{rt: rt, ordinal: ordinal, opt: o, modules: map[string]*module{}}
	p, set, err := usable(rt, ordinal, o.CodeObjects)
	if err != nil {
		return nil, fmt.Errorf("opship: device %s: %w", name, err)
	}
	for _, note := range rt.Notes() {
		o.Log.Warn(note, "device", name)
	}
	if rt.Name() == "hip" {
		if note := youngRuntime(p.Target, rt.Version()); note != "" {
			o.Log.Warn(note, "device", name)
		}
	}
	d.set, d.target = set, NewTarget(set.Target, p.CUs)
	if d.target.choices, err = choicesOf(o.Choices); err != nil {
		return nil, fmt.Errorf("opship: device %s: %w", name, err)
	}
	d.info, d.integrated = info(rt, name, ordinal, p), p.Integrated
	d.info.Target = set.Target
	d.thread, err = devthread.Start(func() error { return rt.Use(ordinal) }, func() error {
		s, err := rt.NewStream()
		d.service = s
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opship: device %s: %w", name, err)
	}
	return d, nil
}

// info describes a device as its runtime sees it.
func info(rt hiprt.Runtime, name string, ordinal int, p hiprt.Properties) ops.Info {
	i := ops.Info{Name: name, Target: p.Target, Model: p.Name, Memory: memoryOf(rt, ordinal, p), Wave: p.Wave,
		Buckets: true}
	i.Driver = fmt.Sprintf("%s %v", rt.Name(), rt.Version())
	if rt.Library() != "" {
		i.Driver += " (" + rt.Library() + ")"
	}
	return i
}

// usable returns the properties of a device and its code objects, or why it cannot be used.
func usable(rt hiprt.Runtime, ordinal int, objects string) (hiprt.Properties, codeobj.Set, error) {
	n, err := rt.Devices()
	if err != nil {
		return hiprt.Properties{}, codeobj.Set{}, withHint(rt.Name(), "/dev", err)
	}
	if ordinal >= n {
		return hiprt.Properties{}, codeobj.Set{},
			fmt.Errorf("there are %d devices, numbered from 0: %w", n, hiprt.ErrNoDevice)
	}
	p, err := rt.Properties(ordinal)
	if err != nil {
		return p, codeobj.Set{}, err
	}
	if rt.Name() == "hip" {
		if err := oldRuntime(p.Target, rt.Version(), rt.Library()); err != nil {
			return p, codeobj.Set{}, err
		}
	}
	set, err := codeobj.For(p.Target, objects)
	if err != nil {
		return p, set, fmt.Errorf("%s: %w", p.Name, err)
	}
	if p.Wave != waveLanes {
		return p, set, fmt.Errorf("%s has waves of %d lanes, the kernels are for %d", p.Name, p.Wave, waveLanes)
	}
	return p, set, nil
}

// Found is a device, or the reason why a kind of device is not there.
type Found struct {
	Info       ops.Info // Name is the kind alone ("hip") if its runtime is missing or sees no device
	Integrated bool     // shares the host's memory
	Err        error    // why it cannot be used; nil if it can

	width int // of the memory bus in bits, times its clock: what tells equal sizes apart
}

// Devices lists what Open could open, and why not what it could not. It never fails: every problem is an entry.
// The best device comes first: AMD before NVIDIA before emulators, with ROCm's runtime before without, discrete before integrated, then by memory. Kinds
// without a usable device come last. Runtimes are loaded by it and stay loaded.
func Devices() []Found {
	found := discover()
	slices.SortStableFunc(found, func(a, b Found) int { return slices.Compare(a.rank(), b.rank()) })
	return found
}

// rank orders devices, the best first.
func (f Found) rank() []int {
	bit := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	kind, _, _ := strings.Cut(f.Info.Name, ":")
	return []int{bit(f.Err != nil), slices.Index([]string{"hip", "kfd", "cuda", "emu"}, kind), bit(f.Integrated),
		-int(f.Info.Memory >> 20), -f.width}
}

// discover is Devices, unordered.
func discover() []Found {
	objects := FromEnv().CodeObjects
	var found []Found
	for _, kind := range hiprt.Names() {
		if kind == "emu" {
			found = append(found, emulators()...)
			continue
		}
		rt, err := hiprt.Open(kind, "")
		n := 0
		if err == nil {
			if n, err = rt.Devices(); err != nil {
				err = withHint(kind, "/dev", err)
			}
		}
		if err != nil {
			found = append(found, Found{Info: ops.Info{Name: kind}, Err: err})
			continue
		}
		for i := range n {
			p, set, err := usable(rt, i, objects)
			f := Found{Info: info(rt, fmt.Sprintf("%s:%d", kind, i), i, p), Integrated: p.Integrated, Err: err,
				width: p.MemKHz / 1000 * p.BusBits}
			if err == nil {
				f.Info.Target = set.Target
			}
			found = append(found, f)
		}
	}
	return found
}

// emulators lists the AMD targets that have kernels.
func emulators() []Found {
	var found []Found
	for _, t := range codeobj.Targets() {
		if strings.HasPrefix(t, "gfx") {
			found = append(found, Found{Info: ops.Info{Name: "emu:" + t, Target: t, Model: "emulator", Wave: waveLanes,
				Buckets: true}})
		}
	}
	return found
}

// background is the context of device calls that nobody waits for with a deadline.
var background = context.Background()

// IsNoDevice reports whether err says that a runtime or a device is not there, as opposed to broken.
func IsNoDevice(err error) bool {
	return errors.Is(err, hiprt.ErrNoDevice) || errors.Is(err, hiprt.ErrNoLibrary)
}
