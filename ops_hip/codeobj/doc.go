// Package codeobj knows the compiled kernels that are linked into the program, by target and owner. Each target is a
// package of its own below this one, which embeds its objects and registers them; a program carries those that it
// imports, and package all imports every shipped one. Other modules can register objects of their own, for these
// targets and for others.
package codeobj
