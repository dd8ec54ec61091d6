// Package spec guesses the next tokens of sequences, so that a model can check several in one step.
//
// A [Drafter] proposes tokens. The engine feeds them behind those that a sequence has, in one step, whose rows of
// logits say what the model itself would have drawn behind each: [Verify] takes the drafts as far as they are that, and
// the first token that is not is the model's. What is drawn has the distribution of the model's sampler, whatever the
// drafter proposes; a drafter decides speed alone. The runner is then cut back to what was taken.
//
// How many tokens a sequence is asked for is a decision of [Policy], made anew for each step from what steps of each
// size have been measured to take, and from how many drafts of the sequence were taken.
package spec
