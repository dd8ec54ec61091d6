package opship

import "time"

// BringUpOptions say what BringUp does to a GPU.
type BringUpOptions struct {
	Device  int           // number of the GPU, as HIP counts
	Soak    int           // dispatches of the soak; 0: 10,000
	Root    string        // folder that holds the files of another machine; those are read, and nothing is opened
	Limits  bool          // take nearly all memory, too
	Idle    time.Duration // leave the GPU alone so long, and use it again; 0: not
	Suspend bool          // wait until the machine was in suspend, and use the GPU again

	// Only names what is done alone, without proofs before: soak; packet, fault or hang, which must be noticed, and leave
	// the GPU to other processes. Empty: all but these three.
	Only string
}
