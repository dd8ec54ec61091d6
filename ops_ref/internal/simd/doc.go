// Package simd holds what the reference backend needs below the level of readable Go. It is the only place of
// the backend that may import unsafe.
package simd
