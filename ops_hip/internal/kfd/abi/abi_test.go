package abi

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

// field is a field of a struct of the kernel's: its name in C, its offset, and the version of the interface that
// brought it, if not the first that has the struct.
type field struct {
	c     string
	at    uintptr
	minor int
}

// record is a struct of the kernel's.
type record struct {
	c      string
	macro  string // of its ioctl; empty if it has none
	nr     uint32
	size   uintptr
	grew   int // version of the interface in which it got its size; 0: its first
	minor  int // version that brought it
	of     reflect.Type
	fields []field
}

func of[T any]() reflect.Type { return reflect.TypeFor[T]() }

// records are the goldens, read off a program that was compiled with the headers of Linux 7.2.
var records = []record{
	{c: "kfd_ioctl_get_version_args", macro: "GET_VERSION", nr: 0x80084b01, size: 8, of: of[Version](),
		fields: []field{{"major_version", 0, 0}, {"minor_version", 4, 0}}},
	{c: "kfd_ioctl_create_queue_args", macro: "CREATE_QUEUE", nr: 0xc0604b02, size: 96, grew: 17, of: of[CreateQueue](),
		fields: []field{{"ring_base_address", 0, 0}, {"write_pointer_address", 8, 0}, {"read_pointer_address", 16, 0},
			{"doorbell_offset", 24, 0}, {"ring_size", 32, 0}, {"gpu_id", 36, 0}, {"queue_type", 40, 0},
			{"queue_percentage", 44, 0}, {"queue_priority", 48, 0}, {"queue_id", 52, 0}, {"eop_buffer_address", 56, 0},
			{"eop_buffer_size", 64, 0}, {"ctx_save_restore_address", 72, 0}, {"ctx_save_restore_size", 80, 0},
			{"ctl_stack_size", 84, 0}, {"sdma_engine_id", 88, 17}, {"metadata_ring_size", 92, 22}}},
	{c: "kfd_ioctl_destroy_queue_args", macro: "DESTROY_QUEUE", nr: 0xc0084b03, size: 8, of: of[DestroyQueue](),
		fields: []field{{"queue_id", 0, 0}, {"pad", 4, 0}}},
	{c: "kfd_ioctl_get_clock_counters_args", macro: "GET_CLOCK_COUNTERS", nr: 0xc0284b05, size: 40,
		of: of[ClockCounters](), fields: []field{{"gpu_clock_counter", 0, 0}, {"cpu_clock_counter", 8, 0},
			{"system_clock_counter", 16, 0}, {"system_clock_freq", 24, 0}, {"gpu_id", 32, 0}, {"pad", 36, 0}}},
	{c: "kfd_ioctl_create_event_args", macro: "CREATE_EVENT", nr: 0xc0204b08, size: 32, of: of[CreateEvent](),
		fields: []field{{"event_page_offset", 0, 0}, {"event_trigger_data", 8, 0}, {"event_type", 12, 0},
			{"auto_reset", 16, 0}, {"node_id", 20, 0}, {"event_id", 24, 0}, {"event_slot_index", 28, 0}}},
	{c: "kfd_ioctl_destroy_event_args", macro: "DESTROY_EVENT", nr: 0x40084b09, size: 8, of: of[EventID](),
		fields: []field{{"event_id", 0, 0}, {"pad", 4, 0}}},
	{c: "kfd_ioctl_set_event_args", macro: "SET_EVENT", nr: 0x40084b0a, size: 8, of: of[EventID](),
		fields: []field{{"event_id", 0, 0}, {"pad", 4, 0}}},
	{c: "kfd_ioctl_reset_event_args", macro: "RESET_EVENT", nr: 0x40084b0b, size: 8, of: of[EventID](),
		fields: []field{{"event_id", 0, 0}, {"pad", 4, 0}}},
	{c: "kfd_ioctl_wait_events_args", macro: "WAIT_EVENTS", nr: 0xc0184b0c, size: 24, of: of[WaitEvents](),
		fields: []field{{"events_ptr", 0, 0}, {"num_events", 8, 0}, {"wait_for_all", 12, 0}, {"timeout", 16, 0},
			{"wait_result", 20, 0}}},
	{c: "kfd_event_data", size: 48, of: of[EventData](), fields: []field{{"memory_exception_data", 0, 0},
		{"kfd_event_data_ext", 32, 0}, {"event_id", 40, 0}, {"pad", 44, 0}}},
	{c: "kfd_ioctl_get_process_apertures_new_args", macro: "GET_PROCESS_APERTURES_NEW", nr: 0xc0104b14, size: 16,
		of: of[AperturesArgs](), fields: []field{{"kfd_process_device_apertures_ptr", 0, 0}, {"num_of_nodes", 8, 0},
			{"pad", 12, 0}}},
	{c: "kfd_process_device_apertures", size: 56, of: of[Apertures](), fields: []field{{"lds_base", 0, 0},
		{"lds_limit", 8, 0}, {"scratch_base", 16, 0}, {"scratch_limit", 24, 0}, {"gpuvm_base", 32, 0},
		{"gpuvm_limit", 40, 0}, {"gpu_id", 48, 0}, {"pad", 52, 0}}},
	{c: "kfd_ioctl_acquire_vm_args", macro: "ACQUIRE_VM", nr: 0x40084b15, size: 8, of: of[AcquireVM](),
		fields: []field{{"drm_fd", 0, 0}, {"gpu_id", 4, 0}}},
	{c: "kfd_ioctl_alloc_memory_of_gpu_args", macro: "ALLOC_MEMORY_OF_GPU", nr: 0xc0284b16, size: 40, of: of[Alloc](),
		fields: []field{{"va_addr", 0, 0}, {"size", 8, 0}, {"handle", 16, 0}, {"mmap_offset", 24, 0},
			{"gpu_id", 32, 0}, {"flags", 36, 0}}},
	{c: "kfd_ioctl_free_memory_of_gpu_args", macro: "FREE_MEMORY_OF_GPU", nr: 0x40084b17, size: 8, of: of[Free](),
		fields: []field{{"handle", 0, 0}}},
	{c: "kfd_ioctl_map_memory_to_gpu_args", macro: "MAP_MEMORY_TO_GPU", nr: 0xc0184b18, size: 24, of: of[Map](),
		fields: []field{{"handle", 0, 0}, {"device_ids_array_ptr", 8, 0}, {"n_devices", 16, 0}, {"n_success", 20, 0}}},
	{c: "kfd_ioctl_unmap_memory_from_gpu_args", macro: "UNMAP_MEMORY_FROM_GPU", nr: 0xc0184b19, size: 24, of: of[Map](),
		fields: []field{{"handle", 0, 0}, {"device_ids_array_ptr", 8, 0}, {"n_devices", 16, 0}, {"n_success", 20, 0}}},
	{c: "kfd_ioctl_get_available_memory_args", macro: "AVAILABLE_MEMORY", nr: 0xc0104b23, size: 16, minor: 9,
		of: of[AvailableMemory](), fields: []field{{"available", 0, 0}, {"gpu_id", 8, 0}, {"pad", 12, 0}}},
	{c: "kfd_ioctl_runtime_enable_args", macro: "RUNTIME_ENABLE", nr: 0xc0104b25, size: 16, minor: 13,
		of: of[RuntimeEnableArgs](), fields: []field{{"r_debug", 0, 0}, {"mode_mask", 8, 0},
			{"capabilities_mask", 12, 0}}},
}

// numbers are those of ioctls without a record, which the driver never issues.
var numbers = map[string]uint32{"SET_MEMORY_POLICY": 0x40204b04, "UPDATE_QUEUE": 0x40184b07,
	"SET_SCRATCH_BACKING_VA": 0xc0104b11, "SET_TRAP_HANDLER": 0x40184b13, "SET_CU_MASK": 0x40104b1a,
	"GET_DMABUF_INFO": 0xc0204b1c, "IMPORT_DMABUF": 0xc0184b1d, "SMI_EVENTS": 0xc0084b1f, "SET_XNACK_MODE": 0xc0044b21,
	"EXPORT_DMABUF": 0xc0104b24, "DBG_TRAP": 0xc0204b26, "CREATE_PROCESS": 0x4b27, "PROFILER": 0xc0104b28}

// TestLayouts compares the structs of this package with the goldens, and numbers with the sizes that they hold.
func TestLayouts(t *testing.T) {
	for _, r := range records {
		if r.of.Size() != r.size {
			t.Errorf("%v has %d bytes, %s has %d", r.of, r.of.Size(), r.c, r.size)
		}
		if r.macro == "" {
			continue
		}
		name := "AMDKFD_IOC_" + r.macro
		if got := IoctlName(r.nr); got != name {
			t.Errorf("%#x is named %q, want %s", r.nr, got, name)
		}
		if uintptr(r.nr>>16&0x3fff) != r.size {
			t.Errorf("%s is %#x, whose size is not %d", name, r.nr, r.size)
		}
		// Every field of ours lies where one of the kernel's does, and every one of the kernel's is there.
		at := map[uintptr]bool{}
		for _, f := range r.fields {
			at[f.at] = true
		}
		for i := range r.of.NumField() {
			if f := r.of.Field(i); !at[f.Offset] {
				t.Errorf("%v.%s lies at %d, where %s has no field", r.of, f.Name, f.Offset, r.c)
			}
		}
		if r.of.NumField() != len(r.fields) {
			t.Errorf("%v has %d fields, %s has %d", r.of, r.of.NumField(), r.c, len(r.fields))
		}
	}
	for name, nr := range numbers {
		if got := IoctlName(nr); got != "AMDKFD_IOC_"+name {
			t.Errorf("%#x is named %q, want AMDKFD_IOC_%s", nr, got, name)
		}
	}
	if got, want := len(ioctlNames), len(numbers)+1; got < want {
		t.Errorf("%d ioctls are named, want at least %d", got, want)
	}
}

// TestHardwareLayouts compares what firmware reads with the goldens, from ROCR's public headers.
func TestHardwareLayouts(t *testing.T) {
	var q Queue
	var s Signal
	var d Dispatch
	var b BarrierAnd
	var h CWSRHeader
	for _, x := range []struct {
		name      string
		got, want uintptr
	}{
		{"amd_queue_t", unsafe.Sizeof(q), 256},
		{"base_address", unsafe.Offsetof(q.Base), 0x08}, {"doorbell_signal", unsafe.Offsetof(q.DoorbellSignal), 0x10},
		{"size", unsafe.Offsetof(q.Size), 0x18}, {"id", unsafe.Offsetof(q.ID), 0x20}, {"caps", unsafe.Offsetof(q.Caps), 0x28},
		{"write_dispatch_id", unsafe.Offsetof(q.WriteDispatchID), QueueWriteOffset},
		{"group_segment_aperture_base_hi", unsafe.Offsetof(q.GroupApertureHi), 0x40},
		{"private_segment_aperture_base_hi", unsafe.Offsetof(q.PrivateApertureHi), 0x44},
		{"max_cu_id", unsafe.Offsetof(q.MaxCUID), 0x48}, {"max_wave_id", unsafe.Offsetof(q.MaxWaveID), 0x4c},
		{"max_legacy_doorbell", unsafe.Offsetof(q.MaxLegacyDoorbell), 0x50},
		{"read_dispatch_id", unsafe.Offsetof(q.ReadDispatchID), QueueReadOffset},
		{"read_dispatch_id_field_base_byte_offset", unsafe.Offsetof(q.ReadOffset), 0x88},
		{"compute_tmpring_size", unsafe.Offsetof(q.TmpringSize), 0x8c},
		{"scratch_resource_descriptor", unsafe.Offsetof(q.ScratchDescriptor), 0x90},
		{"scratch_backing_memory_location", unsafe.Offsetof(q.ScratchLocation), 0xa0},
		{"queue_properties", unsafe.Offsetof(q.Properties), 0xb4},
		{"scratch_last_used_index", unsafe.Offsetof(q.ScratchLastUsed), 0xb8},
		{"queue_inactive_signal", unsafe.Offsetof(q.InactiveSignal), QueueInactiveOffset},
		{"amd_signal_t", unsafe.Sizeof(s), SignalSize}, {"value", unsafe.Offsetof(s.Value), 8},
		{"event_mailbox_ptr", unsafe.Offsetof(s.Mailbox), 16}, {"event_id", unsafe.Offsetof(s.EventID), 24},
		{"start_ts", unsafe.Offsetof(s.Start), 32}, {"end_ts", unsafe.Offsetof(s.End), 40},
		{"queue_ptr", unsafe.Offsetof(s.QueuePtr), 48},
		{"dispatch", unsafe.Sizeof(d), PacketSize}, {"workgroup_size_x", unsafe.Offsetof(d.GroupX), 4},
		{"grid_size_x", unsafe.Offsetof(d.GridX), 12}, {"private_segment_size", unsafe.Offsetof(d.PrivateSize), 24},
		{"kernel_object", unsafe.Offsetof(d.KernelObject), 32}, {"kernarg_address", unsafe.Offsetof(d.Kernarg), 40},
		{"completion_signal", unsafe.Offsetof(d.Completion), 56},
		{"barrier", unsafe.Sizeof(b), PacketSize}, {"dep_signal", unsafe.Offsetof(b.Deps), 8},
		{"completion_signal of a barrier", unsafe.Offsetof(b.Completion), 56},
		{"save area header", unsafe.Sizeof(h), CWSRHeaderSize}, {"debug_offset", unsafe.Offsetof(h.DebugOffset), 16},
		{"err_payload_addr", unsafe.Offsetof(h.ErrPayload), 24}, {"err_event_id", unsafe.Offsetof(h.ErrEventID), 32},
	} {
		if x.got != x.want {
			t.Errorf("%s: %#x, want %#x", x.name, x.got, x.want)
		}
	}
}

// program prints the sizes, offsets and numbers that the headers of this machine have.
func program() string {
	var b strings.Builder
	b.WriteString("#include <stdio.h>\n#include <stddef.h>\n#include <linux/kfd_ioctl.h>\nint main(void) {\n")
	b.WriteString("#define S(s) printf(\"size %s %zu\\n\", #s, sizeof(struct s));\n")
	b.WriteString("#define F(s, f) printf(\"field %s.%s %zu\\n\", #s, #f, offsetof(struct s, f));\n")
	b.WriteString("#define N(n) printf(\"number %s %lu\\n\", #n, (unsigned long)n);\n")
	b.WriteString("printf(\"minor %d\\n\", KFD_IOCTL_MINOR_VERSION);\n")
	since := func(minor int, line string) {
		fmt.Fprintf(&b, "#if KFD_IOCTL_MINOR_VERSION >= %d\n%s\n#endif\n", minor, line)
	}
	for _, r := range records {
		since(r.minor, fmt.Sprintf("S(%s)", r.c))
		for _, f := range r.fields {
			since(max(r.minor, f.minor), fmt.Sprintf("F(%s, %s)", r.c, f.c))
		}
		if r.macro != "" {
			fmt.Fprintf(&b, "#ifdef AMDKFD_IOC_%s\nN(AMDKFD_IOC_%s)\n#endif\n", r.macro, r.macro)
		}
	}
	for n := range numbers {
		fmt.Fprintf(&b, "#ifdef AMDKFD_IOC_%s\nN(AMDKFD_IOC_%s)\n#endif\n", n, n)
	}
	for _, n := range []string{"VRAM", "GTT", "USERPTR", "DOORBELL", "MMIO_REMAP", "WRITABLE", "EXECUTABLE", "PUBLIC",
		"NO_SUBSTITUTE", "AQL_QUEUE_MEM", "COHERENT", "UNCACHED", "EXT_COHERENT", "CONTIGUOUS"} {
		fmt.Fprintf(&b, "#ifdef KFD_IOC_ALLOC_MEM_FLAGS_%s\nN((unsigned)KFD_IOC_ALLOC_MEM_FLAGS_%s)\n#endif\n", n, n)
	}
	b.WriteString("N(KFD_MMIO_REMAP_HDP_MEM_FLUSH_CNTL)\n")
	b.WriteString("return 0; }\n")
	return b.String()
}

// TestHeaders compares the goldens with the headers of this machine, which may be older.
func TestHeaders(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("SKIPPED: no gcc to compile a program with the kernel's headers; TestLayouts has the goldens")
	}
	if _, err := os.Stat("/usr/include/linux/kfd_ioctl.h"); err != nil {
		t.Skip("SKIPPED: no linux/kfd_ioctl.h (package linux-libc-dev); TestLayouts has the goldens")
	}
	dir := t.TempDir()
	src, bin := filepath.Join(dir, "abi.c"), filepath.Join(dir, "abi")
	if err := os.WriteFile(src, []byte(program()), 0o644); err != nil {
		t.Fatal(err)
	}
	// kfd_ioctl.h includes drm/drm.h, of which it uses integer types alone, and which not every machine has.
	drm := filepath.Join(dir, "after", "drm")
	if err := os.MkdirAll(drm, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(drm, "drm.h"), []byte("#include <linux/types.h>\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(gcc, "-w", "-idirafter", filepath.Dir(drm), "-o", bin, src)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	out, err := exec.Command(bin).Output()
	if err != nil {
		t.Fatal(err)
	}
	compare(t, string(out))
}

// flags are those of allocations.
var flags = map[string]uint32{"VRAM": MemVRAM, "GTT": MemGTT, "USERPTR": MemUserptr, "DOORBELL": MemDoorbell,
	"MMIO_REMAP": MemMMIORemap, "WRITABLE": MemWritable, "EXECUTABLE": MemExecutable, "PUBLIC": MemPublic,
	"NO_SUBSTITUTE": MemNoSubstitute, "AQL_QUEUE_MEM": MemAQLQueue, "COHERENT": MemCoherent, "UNCACHED": MemUncached,
	"EXT_COHERENT": MemExtCoherent, "CONTIGUOUS": MemContiguous}

// compare checks what the program printed.
func compare(t *testing.T, out string) {
	t.Helper()
	want, minor, compared := map[string]uint64{}, 0, 0
	grew := map[string]record{}
	for _, r := range records {
		want["size "+r.c] = uint64(r.size)
		for _, f := range r.fields {
			want["field "+r.c+"."+f.c] = uint64(f.at)
		}
		if r.macro != "" {
			want["number AMDKFD_IOC_"+r.macro] = uint64(r.nr)
		}
		if r.grew != 0 {
			grew["size "+r.c], grew["number AMDKFD_IOC_"+r.macro] = r, r
		}
	}
	for n, nr := range numbers {
		want["number AMDKFD_IOC_"+n] = uint64(nr)
	}
	for n, f := range flags {
		want["number (unsigned)KFD_IOC_ALLOC_MEM_FLAGS_"+n] = uint64(f)
	}
	want["number KFD_MMIO_REMAP_HDP_MEM_FLUSH_CNTL"] = HDPMemFlush
	for line := range strings.Lines(out) {
		var kind, name string
		var value uint64
		if n, _ := fmt.Sscanf(line, "minor %d", &minor); n == 1 {
			continue
		}
		if n, err := fmt.Sscanf(line, "%s %s %d", &kind, &name, &value); n != 3 {
			t.Fatalf("line %q: %v", line, err)
		}
		key := kind + " " + name
		if r, ok := grew[key]; ok && minor < r.grew {
			continue // the headers are older than the struct's last fields
		}
		w, ok := want[key]
		if !ok || w != value {
			t.Errorf("%s is %#x in the headers of version 1.%d, %#x here (known: %v)", key, value, minor, w, ok)
		}
		compared++
	}
	if compared < 100 {
		t.Errorf("%d values were compared, want at least 100", compared)
	}
	t.Logf("%d values are equal to those of the headers of KFD 1.%d", compared, minor)
}

// TestCompareNotices proves that the comparison can fail.
func TestCompareNotices(t *testing.T) {
	for _, r := range records {
		if r.grew != 0 && (r.c != "kfd_ioctl_create_queue_args" || r.grew > 23) {
			t.Errorf("%s is said to have grown, which would hide differences", r.c)
		}
	}
	if !strings.Contains(program(), "F(kfd_ioctl_create_queue_args, ctl_stack_size)") {
		t.Error("the program does not print the offset of ctl_stack_size")
	}
}

// TestCWSR has the sizes of products, from the kernel's formula.
func TestCWSR(t *testing.T) {
	for _, x := range []struct {
		name                     string
		vgpr, cus                uint32
		ctl, save, debug, buffer uint64
	}{
		{"7900 XTX", VGPRBytes(110000), 96, 40960, 46047232, 98304, 46145536},
		{"7900 XT", VGPRBytes(110000), 84, 32768, 40288256, 86016, 40374272},
		{"7800 XT", VGPRBytes(110001), 60, 24576, 28778496, 61440, 28839936},
		{"7600", VGPRBytes(110002), 32, 16384, 11157504, 32768, 11190272},
		{"780M", VGPRBytes(110003), 12, 8192, 4186112, 12288, 4198400},
		{"890M", VGPRBytes(110500), 16, 8192, 5578752, 16384, 5595136},
		{"8060S", VGPRBytes(110501), 40, 16384, 19185664, 40960, 19226624},
		{"8060S before the mend", VGPRBytesSmall, 40, 16384, 13942784, 40960, 13983744},
		{"9060 XT", VGPRBytes(120000), 32, 16384, 15351808, 32768, 15384576},
		{"9070 XT", VGPRBytes(120001), 64, 28672, 30699520, 65536, 30765056},
	} {
		s := CWSRSizes(x.cus, x.vgpr)
		if uint64(s.Ctl) != x.ctl || uint64(s.Save) != x.save || uint64(s.Debug) != x.debug || s.Buffer != x.buffer {
			t.Errorf("%s: %+v, want %d, %d, %d, %d", x.name, s, x.ctl, x.save, x.debug, x.buffer)
		}
	}
}

// TestPackets has packets as they lie in memory.
func TestPackets(t *testing.T) {
	d := Dispatch{Header: HeaderDispatchSingle, Setup: SetupDims, GroupX: 256, GroupY: 2, GroupZ: 1, GridX: 512, GridY: 6,
		GridZ: 1, GroupSize: 1024, KernelObject: 0x1122334455667740, Kernarg: 0x7f0000001000, Completion: 0x7f0000002040}
	p := d.Packet()
	if want := (Packet{0x00031502, 0x00020100, 1, 512, 6, 1, 0, 1024, 0x55667740, 0x11223344, 0x1000, 0x7f00, 0, 0, 0x2040,
		0x7f00}); p != want {
		t.Errorf("dispatch %08x, want %08x", p, want)
	}
	if p.Header() != HeaderDispatchSingle || p.Completion() != d.Completion || *p.AsDispatch() != d {
		t.Errorf("a packet reads back as %+v", *p.AsDispatch())
	}
	p.SetHeader(HeaderDispatchInner)
	p.SetCompletion(0)
	if p[0] != 0x00030b02 || p[14] != 0 || p[15] != 0 {
		t.Errorf("header and signal set: %08x", p)
	}
	b := BarrierAnd{Header: HeaderBarrierSystem, Deps: [5]uint64{1: 64}, Completion: 128}
	if p := b.Packet(); p != (Packet{0: 0x1503, 4: 64, 14: 128}) || *p.AsBarrier() != b {
		t.Errorf("barrier %08x", p)
	}
	if got, want := AcquireMem(GCRCode), [8]uint32{0xc0065800, 0, 0xffffffff, 0xffffff, 0, 0, 0xa, 0x4381}; got != want {
		t.Errorf("ACQUIRE_MEM %08x, want %08x", got, want)
	}
	if got, want := Indirect(0x7f1234567000, 8, 0x7f0000002040), (Packet{0x00011500, 0xc0023f00, 0x34567000, 0x7f12,
		0x800008, 0xa, 14: 0x2040, 15: 0x7f00}); got != want {
		t.Errorf("vendor packet %08x, want %08x", got, want)
	}
	for h, want := range map[uint16][4]uint16{HeaderInvalid: {1, 0, 0, 0}, HeaderDispatchInner: {2, 1, 1, 1},
		HeaderDispatchFirst: {2, 1, 2, 1}, HeaderDispatchLast: {2, 1, 1, 2}, HeaderDispatchSingle: {2, 1, 2, 2},
		HeaderBarrierSystem: {3, 1, 2, 2}, HeaderVendorSystem: {0, 1, 2, 2}} {
		if got := [4]uint16{h & 0xff, h >> 8 & 1, h >> HeaderAcquireShift & 3, h >> HeaderReleaseShift & 3}; got != want {
			t.Errorf("header %#04x has type, barrier, acquire and release %v, want %v", h, got, want)
		}
	}
}

// TestEventData checks the union.
func TestEventData(t *testing.T) {
	var d EventData
	m := MemoryException{NotPresent: true, NoExecute: true, VA: 0x123456789000, GPUID: 77, ErrorType: 2}
	d.SetMemory(m)
	b := (*[48]byte)(unsafe.Pointer(&d))
	if d.Memory() != m || b[0] != 1 || b[4] != 0 || b[8] != 1 || b[12] != 0 || b[24] != 77 || b[28] != 2 {
		t.Errorf("memory exception %+v lies as % x", d.Memory(), b[:32])
	}
	h := HWException{ResetType: 1, ResetCause: 1, MemoryLost: true, GPUID: 78}
	d.SetHW(h)
	if d.HW() != h || b[0] != 1 || b[4] != 1 || b[8] != 1 || b[12] != 78 {
		t.Errorf("hardware exception %+v lies as % x", d.HW(), b[:32])
	}
}
