//go:build linux

package fake

const sysMemfdCreate = 279
