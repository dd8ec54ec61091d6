// Package scalar holds functions of single numbers, in float64, that the reference and the fast CPU device share.
package scalar
