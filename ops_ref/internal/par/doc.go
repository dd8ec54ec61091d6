// Package par runs loops on a pool of goroutines with a fixed partition, so that results never depend on the
// number of cores.
package par
