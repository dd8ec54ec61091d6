package opship

import "time"

// BringUpOptions say what BringUp does to a GPU.
type BringUpOptions struct {
	Device      int           // number of the GPU, as HIP counts
	Soak        int           // dispatches of the soak; 0: 10,000
	Root        string        // folder that holds the files of another machine; those are read, and nothing is opened
	Limits      bool          // take nearly all memory, too
	Destructive bool          // at the end let a kernel store to memory that is not there
	Timeout     time.Duration // without progress, after which a step fails; 0: 30 s
}
