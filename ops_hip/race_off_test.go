//go:build !race

package opship

const raceDetector = false
