package engine

// Observer is told what happens to a sequence, by the engine's goroutine, which waits for it: its methods must be quick
// and must not panic. Those of one sequence are called one after the other.
type Observer interface {
	Started() // it got a slot
	Drew()    // a token was drawn for it
	Ended()   // it left the engine, for whatever reason; nothing follows
}

// nobody observes the sequences of requests that name no observer.
type nobody struct{}

func (nobody) Started() {}
func (nobody) Drew()    {}
func (nobody) Ended()   {}
