// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A router is a directory that the package's scripts use as the root of a router. It has the
// package's files, busybox, and the stubs of testdata/router, which record their calls in
// /log.
type router struct {
	t    *testing.T
	root string
}

func newRouter(t *testing.T) *router {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to run scripts in a directory of their own")
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("needs busybox (busybox-static)")
	}
	if !isStatic(busybox) {
		t.Skip("needs a static busybox (busybox-static)")
	}
	r := &router{t, t.TempDir()}
	// Everybody may read a package's directories, but a test's directories are private.
	if err := os.Chmod(r.root, 0o755); err != nil {
		t.Fatal(err)
	}
	r.copyTree("../files")
	r.copyTree("testdata/router")
	data, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	r.write("/bin/busybox", string(data))
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(string(applets)) {
		if _, err := os.Lstat(r.path("/bin/" + name)); err != nil {
			if err := os.Symlink("busybox", r.path("/bin/"+name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range []string{"/usr/sbin/p2pwall", "/sbin/ujail", "/usr/sbin/nft", "/bin/hotplug-call"} {
		r.write(name, "")
	}
	r.write("/usr/sbin/p2pwall", r.read("/bin/p2pwall"))
	r.write("/sbin/hotplug-call", "#!/bin/sh\necho \"hotplug-call $* $ACTION\" >>/log\n")
	r.write("/dev/null", "")
	r.write("/etc/passwd", "root:x:0:0::/:/bin/sh\n")
	r.write("/etc/group", "root:x:0:\np2pwall:x:1214:\n")
	r.write("/var/run/.keep", "")
	r.write("/tmp/.keep", "")
	r.write("/up", "lan br-lan\n")
	r.write("/uci", "")
	return r
}

func isStatic(name string) bool {
	f, err := elf.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return false
		}
	}
	return true
}

func (r *router) path(name string) string { return filepath.Join(r.root, name) }

func (r *router) copyTree(dir string) {
	r.t.Helper()
	files, err := readTree(dir)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range files {
		r.write(f.path, string(f.data))
		r.chmod(f.path, f.mode)
	}
}

// write writes an executable file. A script that is not executable would not run.
func (r *router) write(name, text string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(r.path(name), []byte(text), 0o755); err != nil {
		r.t.Fatal(err)
	}
}

func (r *router) chmod(name string, mode fs.FileMode) {
	r.t.Helper()
	if err := os.Chmod(r.path(name), mode); err != nil {
		r.t.Fatal(err)
	}
}

func (r *router) read(name string) string {
	r.t.Helper()
	data, err := os.ReadFile(r.path(name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(data)
}

func (r *router) remove(name string) {
	r.t.Helper()
	if err := os.RemoveAll(r.path(name)); err != nil {
		r.t.Fatal(err)
	}
}

// run runs a program of the router. It returns its output, the calls recorded meanwhile, and
// its exit code.
func (r *router) run(env []string, input string, args ...string) (output, log string, code int) {
	r.t.Helper()
	r.write("/log", "")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, env...)
	cmd.Stdin = strings.NewReader(input)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: r.root}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return string(out), r.read("/log"), cmd.ProcessState.ExitCode()
}

// service runs an action of the init script.
func (r *router) service(action string) (log string, code int) {
	r.t.Helper()
	out, log, code := r.run(nil, "", "/bin/sh", "/etc/rc.common", "/etc/init.d/p2pwall", action)
	if out != "" {
		r.t.Logf("%s says: %s", action, out)
	}
	return log, code
}
