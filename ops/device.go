package ops

import (
	"context"
	"errors"

	"github.com/hipengine/hipengine/tensor"
)

// Info describes a device.
type Info struct {
	Name   string // what the user types: "ref", "cpu", "hip:0"
	Target string // instruction set: "amd64", "gfx1100"
	Model  string // marketing name
	Driver string // runtime and version, empty where there is none
	Memory int64  // bytes; 0 if not known
	Wave   int    // lanes of a wave; 1 on a CPU

	// Buckets says that the device replays captured plans, so that callers should pad token, sequence and page
	// counts to size classes. A CPU records for the exact count and has no padding to compute.
	Buckets bool
}

// MemKind says what a buffer is for, so that a backend can choose where it lives.
type MemKind uint8

// The kinds of memory.
const (
	MemWeights MemKind = iota // written once, read by every plan
	MemState                  // read and written by plans
	MemPinned                 // host memory that transfers read and write directly
	MemPlans                  // arenas of plans; what it holds at first is undefined
)

// ErrUnsupported reports an op that a device can neither run nor see expanded. The error that wraps it names
// the node.
var ErrUnsupported = errors.New("unsupported")

// ErrOutOfMemory reports that Alloc or Compile wants more memory than the device has.
var ErrOutOfMemory = errors.New("out of memory")

// WeightUse says who reads a weight, so that a device can choose how it lies in memory.
type WeightUse struct {
	Name  string
	DType tensor.DType
	Shape tensor.Shape
	Ops   []*Def // that read it, each once; none if that is not known
}

// Caps are what a device can do beyond the methods of [Device]. A nil func is something that it cannot.
type Caps struct {
	// Free returns how much memory Alloc and Compile can hand out in all. It may block; it fails if the device cannot
	// know.
	Free func() (int64, error)

	// PlanBytes returns the memory that Compile of g takes in an arena. It allocates nothing, and neither weights nor
	// states of g need a buffer.
	PlanBytes func(g *Graph, outs ...Value) (int64, error)

	// Launches returns the kernels that one run of a plan of g starts, in order, by the names that the device has for
	// them. Like PlanBytes it allocates nothing.
	Launches func(g *Graph, outs ...Value) ([]string, error)

	// Rounds returns how many neighbouring activations share a scale where the kernel of n quantizes them to 8 bits
	// before it multiplies, or 0 if it uses them as they are.
	Rounds func(n *Node) int

	// Kernels lists the nodes of a plan of the device in the order of execution, each with the kernel that was chosen.
	Kernels func(p Plan) []string

	// Map returns the memory of a buffer that lies in the process, which callers may then fill without a copy, until
	// Free, while no plan or stream uses it; nil for other buffers.
	Map func(b tensor.Buffer) []byte

	// Adopt returns memory of the device that is b, bytes of the process which nobody changes and which outlive the
	// buffer, such as a file's that are mapped. It can only be read.
	Adopt func(b []byte) tensor.Buffer

	// Peer reports whether streams of the device Copy to and from memory of another, d, and Wait for its events without
	// the host.
	Peer func(d Device) bool

	// Parts returns the devices that the device consists of, if there are several: their Alloc makes memory for graphs of
	// the whole, and takes nothing for no bytes. Place returns which of them a weight or a state is to be allocated on,
	// or one that stands for all, where each has a copy; kind is MemWeights or MemState. PartBytes is PlanBytes on each.
	Parts     func() []Device
	Place     func(u WeightUse, kind MemKind) (Device, error)
	PartBytes func(g *Graph, outs ...Value) ([]int64, error)

	// Ranks lets several devices, of which this is the first, add up parts without the host. The error says why they
	// cannot.
	Ranks func(devices []Device) (Ranks, error)

	// Invariant says that Compile does as Graph.Invariant demands.
	Invariant bool

	// StepTokens is how many tokens of a prompt at a time keep the device busy; 0 if it does not say.
	StepTokens int

	// Fuse lists the fused ops that package fuse should make, because the device has kernels for them that pay.
	Fuse []*Def
}

// Device is what a port to other silicon implements, with [Stream] and [Plan]. Methods may be called from
// several goroutines unless they say otherwise.
type Device interface {
	Info() Info

	// Caps returns the same capabilities at each call.
	Caps() Caps

	// Layout returns how a weight should lie in memory of kind MemWeights: the zero Layout, as in files, or one that
	// the device's kernels prefer. It is a pure function. Whoever allocates the weight sets the Layout of its tensor
	// to the result, and uploads whole rows, multiples of Layout.Rows.
	Layout(u WeightUse) tensor.Layout

	// Alloc returns memory, zeroed unless it is of kind MemPlans. It may block and fails with an error that names the
	// size and what is free, and that wraps ErrOutOfMemory if that is the cause.
	Alloc(bytes int64, kind MemKind) (tensor.Buffer, error)

	// Supports reports whether the device has a kernel for n. It is a pure function of op, types, layouts and
	// attributes.
	Supports(n *Node) bool

	// Compile lowers g for the device and does all allocation and preparation that running needs. outs become
	// the plan's outputs. The plan lives in a, which may be used by plans of one device alone; nil gives it memory of
	// its own. The error wraps ErrUnsupported if a node has no kernel and no expansion.
	Compile(g *Graph, a *Arena, outs ...Value) (Plan, error)

	// Stream returns a new in-order queue.
	Stream() (Stream, error)

	// Close releases the device; plans, streams and buffers must be closed before.
	Close() error
}

// Ranks are devices that add up what each of them has made. Those who have them record, for each [AllReduce] of a graph
// that is divided among the devices, what each rank does of it; every rank's plan then meets those of the others while
// it runs. All ranks must run the same all-reduces in the same order, and no two plans of a rank at once.
type Ranks interface {
	// AllReduce records in g, a graph of device number rank, the sum of part and the other ranks' parts, in the order of
	// the ranks; false if it does not take values of this type.
	AllReduce(g *Graph, rank int, part Value) (Value, bool)

	// Close frees what they share. Plans must be closed before.
	Close() error
}

// WeightBytes returns the memory that t takes: in its layout, or else as files have it.
func WeightBytes(t tensor.Tensor) (int64, error) {
	n, err := tensor.Bytes(t.DType, t.Shape)
	if err == nil && !t.Layout.IsZero() {
		n = t.Layout.Bytes
	}
	return n, err
}

// Stream is an in-order queue of one device, used by one goroutine at a time. Calls may return before the work
// is done; an error may stem from earlier work of the stream.
type Stream interface {
	// Upload copies src to dst, len(src) bytes in dst's type. src may be reused after return. Rows of a weight with a
	// Layout are repacked on the way.
	Upload(dst tensor.Tensor, src []byte) error

	// Run enqueues one execution of p.
	Run(p Plan) error

	// Download copies src, which must lie as in files, to dst; dst holds the bytes only after Sync. A device may take
	// whole rows of a weight with a Layout too, multiples of Layout.Rows, and bring them back to how files have them.
	Download(dst []byte, src tensor.Tensor) error

	// Copy copies all of src to dst, of the same type, layout and number of elements, on the device. They must not
	// overlap.
	Copy(dst, src tensor.Tensor) error

	// Zero clears the bytes of dst on the device.
	Zero(dst tensor.Tensor) error

	// Mark returns an event that happens when all work enqueued so far is done.
	Mark() (Event, error)

	// Wait lets work that is enqueued from now on start only after e has happened. Events of other devices are waited
	// for by the caller's thread if the device cannot.
	Wait(e Event) error

	// Sync waits until all enqueued work is done, or ctx is cancelled (the work goes on then).
	Sync(ctx context.Context) error

	Close() error
}

// Event is a point in the work of a stream. Its methods may be called from several goroutines.
type Event interface {
	// Sync waits until it has happened, or ctx is cancelled. The error may stem from the work before it.
	Sync(ctx context.Context) error

	// Close releases the event; streams that wait for it still do.
	Close() error
}

// Plan is a compiled graph with fixed addresses, so that it can be captured once and replayed. One run at a
// time, of all plans in its arena. Tensors of inputs and outputs are good until another plan is compiled in the arena.
type Plan interface {
	// Input returns the place of the input with this name, and whether the graph has one.
	Input(name string) (tensor.Tensor, bool)

	// Output returns the place of output i, in Compile's order; its contents last until the next run of a plan in the
	// arena.
	Output(i int) tensor.Tensor

	Close() error
}
