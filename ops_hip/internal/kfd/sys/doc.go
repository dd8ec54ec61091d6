// Package sys is what the KFD driver needs of the operating system, as an interface: a few system calls, files of
// sysfs, and the store that rings a doorbell. Linux implements it; a fake of the kernel and the GPU can take its
// place.
package sys
