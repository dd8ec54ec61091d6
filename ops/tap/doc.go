// Package tap shows what happens inside of a plan: a device whose plans compute further values of their graphs, for
// those who look inside a model. It works around any device.
package tap
