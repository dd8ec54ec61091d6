// Package bench measures servers that speak OpenAI's chat completions: how long a client waits for the first token and
// between tokens, and how many tokens come in all, when many ask at once, when what they ask begins alike, and when
// conversations grow turn by turn as those of agents do.
//
// Times are a client's: from the moment a request is sent to the moment a piece of the answer has been read. Texts are
// made of words drawn from a seed, so that a run can be repeated; how many tokens they are is the server's to say.
package bench
