// Package engine runs many sequences over one runner by continuous batching: every step carries one token of each
// sequence that decodes and chunks of the prompts that are still being prefilled, so sequences join and leave
// between steps.
//
// One goroutine, started by [New], owns the runner. Each turn of its loop drops the sequences whose context is done
// (queued, prefilling and decoding ones alike), asks the [Policy] for the next step, runs it, and draws a token for
// every sequence that got logits. Tokens go to buffers that MaxTokens bounds, so a consumer that reads slowly, or
// never, cannot hold up the loop.
//
// Requests that share a prompt, the choices of one call, are submitted together: one reads the prompt, and the others
// fork from it, or resume from a checkpoint of it as slots become free.
//
// A step that fails takes down the sequences that were part of it, each with an error that says so; all others go
// on.
package engine
