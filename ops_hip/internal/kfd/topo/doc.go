// Package topo reads what the kernel says of AMD GPUs in sysfs: the topology of the KFD driver, and the files of the
// GPU's PCI device. It opens no device. Facts come from kfd_topology.c and amdgpu's uapi header of Linux 6.12 and 7.2;
// the order and visibility of devices from ROCR's filter of devices.
package topo
