package check

// Options selects checks. The zero value checks nothing and costs nothing.
type Options struct {
	Poison    bool   // reads of registers and LDS that nothing wrote
	Races     bool   // LDS accesses of two waves that no barrier orders
	Waits     bool   // use of a register whose memory instruction has not been waited for
	WaveSeed  uint64 // nonzero: run the waves of a workgroup in an order drawn from this seed
	SGPR      bool   // reads of scalar registers that GFX12 needs s_wait_alu before
	ReadOnly  bool   // stores through arguments that the compiler found to be read-only
	AllChecks bool   // all of the above; WaveSeed becomes 1 if it is 0
}

// Normalize resolves AllChecks.
func (o Options) Normalize() Options {
	if o.AllChecks {
		o.Poison, o.Races, o.Waits, o.SGPR, o.ReadOnly = true, true, true, true, true
		if o.WaveSeed == 0 {
			o.WaveSeed = 1
		}
	}
	return o
}

// Any reports whether a check needs the executor to observe instructions.
func (o Options) Any() bool { return o.Poison || o.Races || o.Waits || o.SGPR }
