// Package doctor says of a machine what it has for running models on AMD GPUs, what is wrong, and the commands that
// mend it. It reads files alone, of the machine or of a tree that someone made of one's sysfs, procfs, /etc and /dev,
// and runs nothing: what only shows when it is tried, such as a test of kernels, the caller adds.
//
// Files of devices are special. In a tree that is a copy, /dev/kfd and /dev/dri/renderD128 are ordinary files that
// hold a line as ls -l prints it, of which owner, group and mode count; an empty one stands for root, render and
// 0660.
package doctor
