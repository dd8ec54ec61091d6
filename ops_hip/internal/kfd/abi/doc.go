// Package abi holds the numbers of the Linux KFD interface (ioctls, structs, flags), of AMD's queues (AQL packets,
// amd_queue_t, amd_signal_t) and of the few PM4 packets that are sent, and builds packets. It computes no more than
// sizes, and touches no device.
//
// Facts come from the uapi headers linux/kfd_ioctl.h, linux/kfd_sysfs.h and drm/amdgpu_drm.h of Linux 7.2, from the
// kernel's amdkfd driver (queue buffers, kfd_queue.c), and from the public headers of ROCR (amd_hsa_queue.h,
// amd_hsa_signal.h, hsa.h). A test compares structs and numbers with the headers of the machine where a C compiler
// and these are there.
package abi
