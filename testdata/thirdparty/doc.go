// Package thirdparty is what another module can add to hipengine without a change there: an op with its reference and
// a GPU kernel for a target that hipengine ships (package relu2), an architecture (package reglu) and a device
// (package own). Each is proved by the conformance suite.
package thirdparty
