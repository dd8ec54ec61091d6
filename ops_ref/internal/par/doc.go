// Package par runs work on a fixed set of goroutines, in two ways: a Pool's For cuts a loop into ranges that do not
// depend on the number of threads, and its Run lets all threads execute one function together, with barriers between
// its phases. Results never depend on the number of threads as long as each is computed by one of them.
package par
