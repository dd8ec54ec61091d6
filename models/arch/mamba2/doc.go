// Package mamba2 is the architecture of Mamba 2 (Dao and Gu 2024, arXiv 2405.21060): layers of a state-space mixer
// alone, without attention or feed-forward networks.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "mamba2"). Defaults are those of package nn's
// Read functions.
package mamba2
