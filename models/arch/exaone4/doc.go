// Package exaone4 is the architecture of Exaone 4: norms behind each half of a layer and none before, and each head of
// q and k normalized. Models with sliding windows (32B) have them in three of four layers, and rotate in those alone;
// others (1.2B) rotate in all.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "exaone4"). rope_freqs.weight, where present,
// holds the factors of Llama 3's scaling. Defaults: no windows without attention.sliding_window; others are those of
// package nn's Read functions.
package exaone4
