// Package archtest holds tests of the shape of the module: who may import whom, package documentation, file size.
package archtest
