// Package roofline says by what each GPU of a data sheet bounds kernels and models: it executes shipped kernels on
// emulators, counts what they do, and divides by what the chip can. That is a model, not a measurement.
package roofline
