package tensor

// Layout says how the numbers of a tensor lie in memory where that is not as files have them, row after row and block
// after block. The zero Layout is that of files. A device chooses the layouts of weights, see ops.Device; kernels that
// read one know it by name, and nothing else can read it.
type Layout struct {
	Name  string // unique among the layouts of a device's types: "planes", "rows16"
	Bytes int64  // that the whole tensor takes
	Rows  int    // that are repacked together, of which uploads are multiples; at least 1
}

// IsZero reports whether l is the layout of files.
func (l Layout) IsZero() bool { return l == Layout{} }
