// Package kv describes and places what sequences keep between steps: KV pages and recurrent state.
package kv
