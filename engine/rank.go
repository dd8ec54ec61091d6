package engine

// Ranker asks a model how relevant a document is to a query: Score of the last hidden state behind Prompt, which
// [Engine.Embed] returns. Its methods may be called from several goroutines.
type Ranker interface {
	// Prompt returns the ids of the question.
	Prompt(query, document string) ([]int32, error)
	// Score returns the relevance, from 0 to 1.
	Score(state []float32) float64
}
