// Package torch makes models repeat what was done to those whose references PyTorch computed, for tests.
package torch
