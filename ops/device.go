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
)

// ErrUnsupported reports an op that a device can neither run nor see expanded. The error that wraps it names
// the node.
var ErrUnsupported = errors.New("unsupported")

// ErrOutOfMemory reports that Alloc or Compile wants more memory than the device has.
var ErrOutOfMemory = errors.New("out of memory")

// Device is what a port to other silicon implements, with [Stream] and [Plan]. Methods may be called from
// several goroutines unless they say otherwise.
type Device interface {
	Info() Info

	// Alloc returns zeroed memory. It may block and fails with an error that names the size and what is free, and that
	// wraps ErrOutOfMemory if that is the cause.
	Alloc(bytes int64, kind MemKind) (tensor.Buffer, error)

	// Supports reports whether the device has a kernel for n. It is a pure function of op, types and attributes.
	Supports(n *Node) bool

	// Compile lowers g for the device and does all allocation and preparation that running needs. outs become
	// the plan's outputs. The error wraps ErrUnsupported if a node has no kernel and no expansion.
	Compile(g *Graph, outs ...Value) (Plan, error)

	// Stream returns a new in-order queue.
	Stream() (Stream, error)

	// Close releases the device; plans, streams and buffers must be closed before.
	Close() error
}

// Repacker is an optional interface of devices whose kernels want some weights in another layout than files have. Such
// a weight, in memory of kind MemWeights, takes the bytes that RepackedBytes returns, and [Stream.Upload] of whole rows
// of it, from a tensor of its type, repacks them. The tensor keeps its type and shape; its numbers do not change.
type Repacker interface {
	// RepackedBytes returns the memory of a weight, a multiple of that of its rows, and how many of its rows are
	// repacked together, of which Upload wants multiples: 0 if the weight stays as it is in files.
	RepackedBytes(dt tensor.DType, s tensor.Shape) (bytes int64, rows int)
}

// WeightBytes returns the memory that a weight takes on d: as d repacks it, or else as files have it.
func WeightBytes(d Device, dt tensor.DType, s tensor.Shape) (int64, error) {
	n, err := tensor.Bytes(dt, s)
	if r, ok := d.(Repacker); ok && err == nil {
		if m, rows := r.RepackedBytes(dt, s); rows > 0 {
			n = m
		}
	}
	return n, err
}

// MemoryPlanner is an optional interface of devices that can say, before anything is allocated, whether a model fits.
type MemoryPlanner interface {
	// FreeBytes returns how much memory Alloc and Compile can hand out in all. It may block; it fails if the device
	// cannot know.
	FreeBytes() (int64, error)

	// PlanBytes returns the memory that Compile of g takes. It allocates nothing, and neither weights nor states of g
	// need a buffer.
	PlanBytes(g *Graph, outs ...Value) (int64, error)
}

// Rounder is an optional interface of devices that trade precision for speed where the graph's types do not say so.
type Rounder interface {
	// ActivationBlock returns how many neighbouring activations share a scale where the kernel of n quantizes them
	// to 8 bits before it multiplies, or 0 if it uses them as they are.
	ActivationBlock(n *Node) int
}

// HostBuffer is an optional interface of buffers in memory of the process, which callers may fill without a copy.
type HostBuffer interface {
	tensor.Buffer

	// Bytes returns the memory, until Free. No plan or stream that uses the buffer may be running.
	Bytes() []byte
}

// Stream is an in-order queue of one device, used by one goroutine at a time. Calls may return before the work
// is done; an error may stem from earlier work of the stream.
type Stream interface {
	// Upload copies src to dst, len(src) bytes in dst's type. src may be reused after return. See [Repacker] for
	// weights.
	Upload(dst tensor.Tensor, src []byte) error

	// Run enqueues one execution of p.
	Run(p Plan) error

	// Download copies src to dst; dst holds the bytes only after Sync.
	Download(dst []byte, src tensor.Tensor) error

	// Sync waits until all enqueued work is done, or ctx is cancelled (the work goes on then).
	Sync(ctx context.Context) error

	Close() error
}

// Plan is a compiled graph with fixed addresses, so that it can be captured once and replayed. One run at a
// time.
type Plan interface {
	// Input returns the place of the input with this name, and whether the graph has one.
	Input(name string) (tensor.Tensor, bool)

	// Output returns the place of output i, in Compile's order; its contents last until the next run.
	Output(i int) tensor.Tensor

	Close() error
}
