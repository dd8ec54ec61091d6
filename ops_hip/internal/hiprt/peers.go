package hiprt

// Peers is a [Runtime] whose devices may reach each other's memory.
type Peers interface {
	// Reach lets kernels of dev, which must be the current device, read and write all memory of peer. The error says so
	// if the driver does not allow it.
	Reach(dev, peer int) error

	// MallocShared is Malloc for memory in which kernels of several devices exchange data while they run: no cache keeps
	// it from others.
	MallocShared(n int64) (Ptr, error)
}
