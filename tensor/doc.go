// Package tensor defines element types, block formats, shapes and storage handles. It computes nothing and
// imports nothing outside the standard library, so that a third party can vendor it alone.
package tensor
