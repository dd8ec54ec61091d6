// Package bench measures how fast a model reads and writes on a device, and what share of the memory's speed that is:
// Measure runs a Test, Bandwidth measures the memory, and Traffic is what a step must move through it.
package bench
