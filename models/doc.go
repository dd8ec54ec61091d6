// Package models describes model architectures: their hyper-parameters, the weights and the state they need, and
// the graph of one step. A model does not know the device that runs it.
//
// An architecture is one small package that calls [Register] from init; package models/arch/all links all of them.
// Building is pure: the same arguments record the same graph.
package models
