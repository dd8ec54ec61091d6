package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// user is who runs the program.
type user struct {
	name   string
	uid    int
	groups []int
}

func readUser(t tree) user {
	u := user{uid: -1}
	if f := t.field("proc/self/status", "Uid:"); len(f) > 1 {
		u.uid, _ = strconv.Atoi(f[1])
	}
	gid := t.field("proc/self/status", "Gid:")
	if len(gid) > 1 {
		gid = gid[1:2]
	}
	for _, g := range slices.Concat(gid, t.field("proc/self/status", "Groups:")) {
		if n, err := strconv.Atoi(g); err == nil {
			u.groups = append(u.groups, n)
		}
	}
	if u.name = nameOf(t, "etc/passwd", u.uid); u.name == "" {
		u.name = "$USER"
	}
	return u
}

// nameOf returns the name of a number in a file such as /etc/group; empty if it has none.
func nameOf(t tree, file string, id int) string {
	for line := range strings.Lines(t.text(file)) {
		if f := strings.Split(line, ":"); len(f) > 2 && f[2] == strconv.Itoa(id) {
			return f[0]
		}
	}
	return ""
}

// idOf returns the number of a name in a file such as /etc/group, -1 if it is not there.
func idOf(t tree, file, name string) int {
	for line := range strings.Lines(t.text(file)) {
		if f := strings.Split(line, ":"); len(f) > 2 && f[0] == name {
			if n, err := strconv.Atoi(f[2]); err == nil {
				return n
			}
		}
	}
	return -1
}

// device is the file of a device.
type device struct {
	path     string
	mode     fs.FileMode
	uid, gid int
	group    string // empty if the number has no name
}

// readDevice returns the owner of a file and whether there is one.
func readDevice(t tree, name string) (d device, ok bool) {
	st, err := fs.Stat(t.FS, name)
	if err != nil {
		return d, false
	}
	d = device{path: "/" + name, mode: st.Mode().Perm()}
	if !st.Mode().IsRegular() {
		if d.uid, d.gid, ok = owner(st); ok {
			d.group = nameOf(t, "etc/group", d.gid)
			return d, true
		}
	}
	line := strings.Fields(t.text(name))
	if len(line) < 4 || len(line[0]) < 10 {
		line = []string{"crw-rw----", "1", "root", "render"}
	}
	d.mode = 0
	for i, c := range line[0][1:10] {
		if c != '-' {
			d.mode |= 1 << (8 - i)
		}
	}
	if d.uid = idOf(t, "etc/passwd", line[2]); line[2] == "root" {
		d.uid = 0
	}
	if n, err := strconv.Atoi(line[3]); err == nil {
		d.gid = n
		return d, true
	}
	d.gid, d.group = idOf(t, "etc/group", line[3]), line[3]
	return d, true
}

// opens reports whether the user may read and write the device.
func (u user) opens(d device) bool {
	const rw = 6
	switch {
	case u.uid == 0:
		return true
	case u.uid == d.uid:
		return d.mode>>6&rw == rw
	case slices.Contains(u.groups, d.gid):
		return d.mode>>3&rw == rw
	}
	return d.mode&rw == rw
}

// permissions checks the files through which programs reach the GPUs. Without a card there is nothing to reach.
func (r *Report) permissions(t tree, try func(path string) error) {
	if len(r.GPUs) == 0 {
		return
	}
	u := readUser(t)
	var closed []device
	see := func(name string) bool {
		d, ok := readDevice(t, name)
		if !ok {
			return false
		}
		may := u.opens(d)
		if try != nil { // lists of who else may are not in the mode
			may = !errors.Is(try(d.path), fs.ErrPermission)
		}
		if !may {
			closed = append(closed, d)
		}
		return true
	}
	if !see("dev/kfd") {
		r.noKFD(t)
		return
	}
	for _, g := range r.GPUs {
		if g.render == "" {
			continue
		}
		if !see(path.Join("dev/dri", g.render)) {
			g.Problem = "/dev/dri/" + g.render + " is missing"
		}
	}
	if len(closed) == 0 {
		return
	}
	r.closed(closed, u)
}

// noKFD explains why there is no way to compute on a GPU.
func (r *Report) noKFD(t tree) {
	for _, g := range r.GPUs {
		g.Problem = "/dev/kfd is missing"
	}
	switch {
	case r.System.Container:
		r.find(Problem, "container", []string{"docker run --device /dev/kfd --device /dev/dri " +
			`--group-add "$(getent group render | cut -d: -f3)" ...`,
			"podman run --device /dev/kfd --device /dev/dri --group-add keep-groups ..."},
			"the container has no /dev/kfd: give it the devices, and the number that the host's group render has, which the "+
				"group of that name inside may not have")
	case r.System.Driver == "not loaded":
		r.find(Problem, "driver", []string{"sudo modprobe amdgpu", "sudo dmesg | grep -i amdgpu"},
			"there is an AMD GPU, but the driver amdgpu is not loaded: it may be blacklisted, or its firmware may be missing")
	default:
		r.find(Problem, "driver", []string{"sudo dmesg | grep -i kfd"},
			"the driver amdgpu is loaded but has no /dev/kfd: the kernel was built without CONFIG_HSA_AMD, or is older than the card")
	}
}

// closed says which groups open devices.
func (r *Report) closed(closed []device, u user) {
	var names, groups, numbers []string
	for _, d := range closed {
		names = append(names, d.path)
		if d.group == "" {
			numbers = append(numbers, strconv.Itoa(d.gid))
		} else {
			groups = append(groups, d.group)
		}
		for _, g := range r.GPUs {
			if g.Problem == "" && (d.path == "/dev/kfd" || d.path == "/dev/dri/"+g.render) {
				g.Problem = "no permission for " + d.path
			}
		}
	}
	slices.Sort(groups)
	groups = slices.Compact(groups)
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	var fix []string
	switch {
	case r.System.Container:
		for _, d := range closed {
			if n := strconv.Itoa(d.gid); d.group != "" && !slices.Contains(numbers, n) {
				numbers = append(numbers, n)
			}
		}
		fix = append(fix, "docker run --group-add "+strings.Join(numbers, " --group-add ")+" ...")
	case len(groups) > 0:
		fix = append(fix, fmt.Sprintf("sudo usermod -aG %s %s", strings.Join(groups, ","), u.name),
			"log out and in again, or restart the service")
	default:
		fix = append(fix, "sudo chgrp render "+strings.Join(names, " "))
	}
	r.find(Problem, "permissions", fix, "%s may not use %s", u.name, strings.Join(names, " and "))
}
