// Package tiny makes models of every architecture with a few thousand random weights, for tests.
package tiny
