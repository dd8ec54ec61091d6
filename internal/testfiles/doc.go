// Package testfiles finds the fixtures that tests compare with. What ships lies in testdata at the root of the
// repository, some of it packed; the whole set is a folder called shared beside the repository, or the one that the
// environment variable HIPENGINE_TEST_FIXTURES names. Tests ask for a fixture by its path in that folder and get the
// same bytes from either. A fixture that is in neither skips the test, in words that the summary of `make test`
// counts; with the variable set, it fails.
package testfiles
