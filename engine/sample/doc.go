// Package sample chooses the next token of a sequence from a row of logits.
//
// # Chain
//
// The samplers are llama.cpp's (common/sampling.cpp, src/llama-sampler.cpp), with its names and, unless [Params.Order]
// names another, its order. For candidate token i with logit l[i]:
//
//  1. logit bias: l[i] += bias[i]. A bias of minus infinity is never.
//  2. penalties, for each id that occurs c > 0 times in the last RepeatLastN tokens of the sequence, prompt included:
//     l[i] is divided by RepeatPenalty if positive, else multiplied by it; then
//
// l[i] -= c*FrequencyPenalty + PresencePenalty. (OpenAI and vLLM count presence and frequency in the answer alone.)
// 3. dry: l[i] -= DRYMultiplier * DRYBase^(n - DRYAllowedLength), where n is the length of the longest repetition
// that
// i goes on with, if that is at least DRYAllowedLength: the longest text that both the last DRYLastN tokens and one
// of their occurrences of i have before it. A repetition begins behind the last token with which one of DRYBreakers
//
//	is complete in the text. (llama.cpp looks for tokenizations of the breakers, which is the same but for breakers
//	that tokens spell in an unusual way.)
//	Then tokens that the constraint of the sequence does not allow, if it has one, are left out; so are the last
//	tokens of BadWords behind their others (vLLM's rule), and Ends before MinTokens.
//
// 4. top-n-sigma: candidates with l[i] >= max(l) - TopNSigma*s stay, s being the standard deviation of the
// candidates'
//
//	   logits.
//	5. top-k: the k candidates of highest rank stay. Rank is by logit, highest first; equal logits by id, lowest first.
//	6. typical: with p = softmax(l) over what is left and H its entropy, candidates rank by |-ln p[i] - H|, lowest
//	   first; the shortest prefix whose sum of p is at least TypicalP stays.
//	7. top-p: the shortest prefix in rank order whose sum of p is at least TopP stays.
//	8. min-p: candidates with p[i] >= MinP * max(p) stay, in the equivalent form l[i] >= max(l) + ln(MinP).
//	9. xtc: with probability XTCProbability, of the candidates with p[i] >= XTCThreshold all go but the one of lowest
//	   rank.
//	10. temperature: l is divided by Temperature. With DynatempRange r > 0 and n > 1 candidates of entropy H it is
//
// divided by a + (Temperature + r - a)*(H/ln n)^DynatempExponent, where a is max(0, Temperature - r). Division by 0
//
//	leaves the candidate of highest rank.
//
// The token is drawn from softmax(l) over what is left. Typical, top-p and min-p leave MinKeep candidates at least,
// and xtc leaves all rather than fewer. With Temperature 0 this is greedy unless typical or xtc take the most likely
// token, or the order has no temperature. At least one candidate survives every step.
//
// Mirostat takes the place of steps 2 to 9 (Basu et al., arXiv 2007.14966): mu begins at twice MirostatTau; version 2
// leaves candidates of a surprise -log2 p[i] of at most mu, version 1 the most likely ones in a number that is
// estimated by Zipf's law from the first 100, the most likely one always; after the draw, mu -= MirostatEta *
// (surprise
// - MirostatTau), where the surprise is that of the drawn token among those left.
//
// # Numerics
//
// Steps 1 to 3 are in float32, one rounding per operation, as in llama.cpp. Softmax weights are exp(l - max(l)) in
// float64, added in order of ascending id. The draw takes one 64-bit value u of a PCG generator (math/rand/v2) seeded
// with (Seed, a constant) and returns the first id, ascending, whose running sum of weights exceeds u * total. So the
// same logits, parameters and history give the same tokens on every machine whose float64 exp agrees, whatever
// algorithm finds the cuts. Where one candidate is left no random value is used; xtc uses one of its own where there
// are several.
//
// No step sorts the vocabulary: top-k keeps a heap of k, top-p is a weighted quickselect.
//
// A NaN or an infinity among the logits is an error, never a token: it is the mark of a broken kernel or weight.
package sample
