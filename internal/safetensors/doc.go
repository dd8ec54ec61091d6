// Package safetensors reads and writes whole files of the safetensors format, for tests: what package hf reads piece
// by piece and with distrust.
package safetensors
