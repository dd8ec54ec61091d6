// Package fakert is a GPU runtime made of Go functions, for tests: device memory is ordinary memory, kernels are
// functions by name, and every call is recorded. It enforces what real runtimes leave undefined: transfers happen
// when a stream is synchronized, argument blocks are read when a kernel runs, and memory is poisoned.
package fakert
