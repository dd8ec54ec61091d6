// Package devthread runs all calls for one device on one OS thread. GPU runtimes keep the current device per
// thread, so a goroutine that migrates would talk to the wrong one.
package devthread
