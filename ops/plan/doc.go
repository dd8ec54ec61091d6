// Package plan decides where the values of a lowered graph live: offsets in one arena, so that values whose
// lifetimes do not overlap share memory. Pure functions, used by every backend; fixed addresses are the
// precondition of captured graphs.
package plan
