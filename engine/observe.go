package engine

// Observer is told what happens to a sequence, by the engine's goroutine, which waits for it: its methods must be
// quick and must not panic. Those of one sequence are called one after the other.
type Observer interface {
	Started() // it got a slot
	Drew()    // a token was drawn for it
	Ended()   // it left the engine, for whatever reason; nothing follows
}

// PromptObserver is an Observer that is told of the prompt too.
type PromptObserver interface {
	Observer
	// Read says how many tokens of the prompt are in the sequence's state: behind Started those that were kept, and
	// then more after each step, up to all of them. Sequences that share another's prompt are told nothing.
	Read(n int)
}

// observeRead tells the observer of a sequence how far its prompt is.
func (s *Sequence) observeRead() {
	if o, ok := s.req.Observer.(PromptObserver); ok {
		o.Read(len(s.fed()))
	}
}

// nobody observes the sequences of requests that name no observer.
type nobody struct{}

func (nobody) Started() {}
func (nobody) Drew()    {}
func (nobody) Ended()   {}
