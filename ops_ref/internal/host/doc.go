// Package host is what devices share whose memory is that of the process: buffers, streams that do their work at
// once, and the places of a plan's values.
package host
