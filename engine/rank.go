package engine

// Ranker asks a model how relevant a document is to a query: Score of the hidden state of Prompt, which [Engine.Embed]
// returns with the ranker's pooling. Its methods may be called from several goroutines.
type Ranker interface {
	// Pooling says of which token the state is.
	Pooling() Pooling
	// Prompt returns the ids of the question and their types, as EmbedRequest has them.
	Prompt(query, document string) (ids, types []int32, err error)
	// Score returns the relevance, from 0 to 1.
	Score(state []float32) float64
}
