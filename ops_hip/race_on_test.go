//go:build race

package opship

// raceDetector makes sync.Pool forget at random.
const raceDetector = true
