package sample

// Prob is a token and its probability.
type Prob struct {
	ID int32
	P  float64
}
