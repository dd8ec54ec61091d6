// Package sample chooses the next token of a sequence from a row of logits.
//
// # Chain
//
// A [Sampler] applies, in llama.cpp's order (common/sampling.cpp, default sampler chain), for candidate token i with
// logit l[i]:
//
//  1. logit bias: l[i] += bias[i].
//  2. penalties, for each id that occurs c > 0 times in the last RepeatLastN tokens of the sequence, prompt included:
//     l[i] is divided by RepeatPenalty if positive, else multiplied by it; then
//     l[i] -= c*FrequencyPenalty + PresencePenalty.
//     Then tokens that the constraint of the sequence does not allow, if it has one, are left out.
//  3. top-k: the k candidates of highest rank stay. Rank is by logit, highest first; equal logits by id, lowest first.
//  4. top-p: with p = softmax(l) over what is left, the shortest prefix in rank order whose sum is at least TopP stays.
//  5. min-p: candidates with p[i] >= MinP * max(p) stay, in the equivalent form l[i] >= max(l) + ln(MinP).
//  6. temperature: the token is drawn from softmax(l / Temperature) over what is left.
//
// Temperature 0 is greedy: the highest rank after step 2. At least one candidate survives every step.
//
// # Numerics
//
// Steps 1 and 2 are in float32, one rounding per operation, as in llama.cpp. Softmax weights are exp(l - max(l)) in
// float64, added in order of ascending id. The draw takes one 64-bit value u of a PCG generator (math/rand/v2) seeded
// with (Seed, a constant) and returns the first id, ascending, whose running sum of weights exceeds u * total. So the
// same logits, parameters and history give the same tokens on every machine whose float64 exp agrees, whatever
// algorithm finds the cuts. Greedy draws use no random value.
//
// No step sorts the vocabulary: top-k keeps a heap of k, top-p is a weighted quickselect.
//
// A NaN or an infinity among the logits is an error, never a token: it is the mark of a broken kernel or weight.
package sample
