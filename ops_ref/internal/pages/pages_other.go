//go:build !linux

package pages

import "github.com/hipengine/hipengine/ops_ref/internal/cast"

// mapMemory takes memory from the Go heap.
func mapMemory(n int64) (b []byte, mapped bool, err error) { return cast.Bytes(n), false, nil }

func unmap([]byte) {}
