// Package ember holds Ember, the model that is built into the binary: a 10-million-parameter hybrid of the Qwen 3.5
// class (architecture qwen35, Q8_0) with a layer that predicts further tokens, trained for this project on text that the
// project wrote itself, and under the project's licence. It answers small questions, so that every part of the engine
// can be tried without a download.
package ember
