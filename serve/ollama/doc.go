// Package ollama holds the wire types of Ollama's API that the server speaks: requests, which become those of package
// openai and are read as strictly, answers, the lines of streams and errors. Facts are those of Ollama's API document
// (docs/api.md of its repository).
//
// Fields without an effect here are accepted: keep_alive, since how long models stay loaded is up to the server's
// owner, and options of Ollama's own runners (num_keep, num_batch, num_gpu, main_gpu, num_thread, numa, use_mmap,
// use_mlock, low_vram, f16_kv, vocab_only, penalize_newline, draft_num_predict).
package ollama
