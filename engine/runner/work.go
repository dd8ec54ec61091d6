package runner

// SeqID names an open sequence of a Runner. Ids are reused after Release.
type SeqID int

// Work is what one sequence contributes to a step.
type Work struct {
	Seq    SeqID
	Tokens []int32 // appended to the sequence by this step; at least one
	Rows   int     // logits are returned for the last Rows of Tokens; 0 while a prompt is only partly in
}

// Limits are the fixed capacities of a Runner.
type Limits struct {
	Vocab   int // length of a logits row
	Context int // most tokens that one sequence may hold
	Seqs    int // most sequences open at once
	Batch   int // most tokens in one step, over all its sequences
}
