// Package devthread runs all calls for one device one at a time, on one OS thread or on one that stands in for it. GPU
// runtimes keep the current device per thread, so a goroutine that migrates would talk to the wrong one.
package devthread
