package openai

// Limits bound what a request may ask for. Zero fields have the values of DefaultLimits.
type Limits struct {
	BodyBytes    int64 // of the request
	Depth        int   // of nested JSON arrays and objects
	Members      int   // of one object
	Messages     int
	Parts        int // of one message's content
	Tools        int
	ToolCalls    int // of one message
	Prompts      int // of one completion request
	Inputs       int // texts of one request for embeddings, and documents of one to rank them
	PromptTokens int // of one prompt that is given as token ids
	N            int // choices for each prompt
	Choices      int // N times the prompts
	Stop         int // stop strings
	StopBytes    int // of one stop string
	MaxTokens    int
	LogitBias    int // entries
	Words        int // of bad_words, dry_sequence_breakers and stop_token_ids
	WordBytes    int // of one of them
	TopLogprobs  int
}

// DefaultLimits returns the limits that a server has unless it is told otherwise.
func DefaultLimits() Limits {
	return Limits{
		BodyBytes: 16 << 20, Depth: 64, Members: 4096, Messages: 4096, Parts: 256, Tools: 256, ToolCalls: 128,
		Prompts: 64, Inputs: 2048,
		PromptTokens: 1 << 20, N: 16, Choices: 64,
		Stop: 16, StopBytes: 256, MaxTokens: 1 << 20, LogitBias: 1024, Words: 256, WordBytes: 256, TopLogprobs: 20,
	}
}

// WithDefaults returns l with its zero fields set.
func (l Limits) WithDefaults() Limits {
	d := DefaultLimits()
	if l.BodyBytes == 0 {
		l.BodyBytes = d.BodyBytes
	}
	for _, f := range []struct {
		p *int
		v int
	}{
		{&l.Depth, d.Depth}, {&l.Members, d.Members}, {&l.Messages, d.Messages}, {&l.Parts, d.Parts},
		{&l.Tools, d.Tools}, {&l.ToolCalls, d.ToolCalls},
		{&l.Prompts, d.Prompts}, {&l.Inputs, d.Inputs}, {&l.PromptTokens, d.PromptTokens}, {&l.N, d.N},
		{&l.Choices, d.Choices}, {&l.Stop, d.Stop}, {&l.StopBytes, d.StopBytes},
		{&l.MaxTokens, d.MaxTokens}, {&l.LogitBias, d.LogitBias}, {&l.Words, d.Words}, {&l.WordBytes, d.WordBytes},
		{&l.TopLogprobs, d.TopLogprobs},
	} {
		if *f.p == 0 {
			*f.p = f.v
		}
	}
	return l
}
