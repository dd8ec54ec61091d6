package engine

// Add returns the sums of the counts of two engines. What is present, such as Running, is of neither.
func (s Stats) Add(o Stats) Stats {
	return Stats{
		PromptTokens: s.PromptTokens + o.PromptTokens, CachedTokens: s.CachedTokens + o.CachedTokens,
		GeneratedTokens: s.GeneratedTokens + o.GeneratedTokens, Steps: s.Steps + o.Steps,
		StepTokens: s.StepTokens + o.StepTokens, StepSequences: s.StepSequences + o.StepSequences,
		Longest: max(s.Longest, o.Longest),
		Stopped: s.Stopped + o.Stopped, Length: s.Length + o.Length, Cancelled: s.Cancelled + o.Cancelled,
		Embedded: s.Embedded + o.Embedded, Failed: s.Failed + o.Failed, Rejected: s.Rejected + o.Rejected,
		Preempted: s.Preempted + o.Preempted, Drafts: s.Drafts + o.Drafts,
		DraftedTokens: s.DraftedTokens + o.DraftedTokens, AcceptedTokens: s.AcceptedTokens + o.AcceptedTokens,
		ExpertChoices: s.ExpertChoices + o.ExpertChoices, ExpertHits: s.ExpertHits + o.ExpertHits,
		ExpertsMoved: s.ExpertsMoved + o.ExpertsMoved,
	}
}
