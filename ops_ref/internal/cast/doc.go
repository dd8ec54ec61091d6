// Package cast sees memory as bytes or as numbers, without a copy.
package cast
