package sample

// Overrides are parameters of which some are set, such as those that a request or a model's generation_config names.
type Overrides struct {
	Temperature, TopP, MinP                          *float32
	TypicalP, TopNSigma                              *float32
	DynatempRange, DynatempExponent                  *float32
	XTCProbability, XTCThreshold                     *float32
	RepeatPenalty, PresencePenalty, FrequencyPenalty *float32
	DRYMultiplier, DRYBase                           *float32
	DRYAllowedLength, DRYLastN                       *int
	DRYBreakers                                      []string // nil is not set
	Mirostat                                         *int
	MirostatTau, MirostatEta                         *float32
	TopK, RepeatLastN, MinKeep, MinTokens            *int
	Order                                            []Stage // nil is not set
	Seed                                             *uint64
	LogitBias                                        map[int32]float32 // nil is not set
}

// Apply returns p with the parameters that are set in o put in place of its own.
func (o Overrides) Apply(p Params) Params {
	for _, f := range []struct{ dst, src *float32 }{
		{&p.Temperature, o.Temperature},
		{&p.TopP, o.TopP},
		{&p.MinP, o.MinP},
		{&p.TypicalP, o.TypicalP},
		{&p.TopNSigma, o.TopNSigma},
		{&p.DynatempRange, o.DynatempRange},
		{&p.DynatempExponent, o.DynatempExponent},
		{&p.XTCProbability, o.XTCProbability},
		{&p.XTCThreshold, o.XTCThreshold},
		{&p.RepeatPenalty, o.RepeatPenalty},
		{&p.PresencePenalty, o.PresencePenalty},
		{&p.FrequencyPenalty, o.FrequencyPenalty},
		{&p.DRYMultiplier, o.DRYMultiplier},
		{&p.DRYBase, o.DRYBase},
		{&p.MirostatTau, o.MirostatTau},
		{&p.MirostatEta, o.MirostatEta},
	} {
		set(f.dst, f.src)
	}
	for _, f := range []struct{ dst, src *int }{
		{&p.TopK, o.TopK},
		{&p.RepeatLastN, o.RepeatLastN},
		{&p.MinKeep, o.MinKeep},
		{&p.MinTokens, o.MinTokens},
		{&p.DRYAllowedLength, o.DRYAllowedLength},
		{&p.DRYLastN, o.DRYLastN},
		{&p.Mirostat, o.Mirostat},
	} {
		set(f.dst, f.src)
	}
	set(&p.Seed, o.Seed)
	if o.DRYBreakers != nil {
		p.DRYBreakers = o.DRYBreakers
	}
	if o.Order != nil {
		p.Order = o.Order
	}
	if o.LogitBias != nil {
		p.LogitBias = o.LogitBias
	}
	return p
}

func set[T float32 | int | uint64](dst, src *T) {
	if src != nil {
		*dst = *src
	}
}
