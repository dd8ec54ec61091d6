// Package hostmem says how much memory the host, or the control group that the process runs in, still has.
package hostmem
