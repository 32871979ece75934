// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A target is one architecture: the packaging system's name for it, and the settings of the
// Go compiler.
type target struct {
	arch  string
	env   []string
	small bool // its routers have little flash
}

// openWrtTargets are the architectures of most routers. cortex-a9 is built as ARMv5, because
// its routers (bcm53xx) have no FPU. The MIPS cores have none either.
var openWrtTargets = []target{
	{"mips_24kc", []string{"GOARCH=mips", "GOMIPS=softfloat"}, true},
	{"mipsel_24kc", []string{"GOARCH=mipsle", "GOMIPS=softfloat"}, true},
	{"arm_cortex-a7_neon-vfpv4", []string{"GOARCH=arm", "GOARM=7"}, true},
	{"arm_cortex-a9", []string{"GOARCH=arm", "GOARM=5"}, true},
	{"aarch64_cortex-a53", []string{"GOARCH=arm64"}, false},
	{"x86_64", []string{"GOARCH=amd64"}, false},
	{"i386_pentium4", []string{"GOARCH=386", "GO386=sse2"}, false},
}

var debianTargets = []target{
	{"amd64", []string{"GOARCH=amd64"}, false},
	{"arm64", []string{"GOARCH=arm64"}, false},
	{"armhf", []string{"GOARCH=arm", "GOARM=7"}, false},
}

// choose returns the targets in a list separated by commas. It returns all if the list is
// empty.
func choose(targets []target, only string) ([]target, error) {
	if only == "" {
		return targets, nil
	}
	var chosen []target
names:
	for _, name := range strings.Split(only, ",") {
		for _, t := range targets {
			if t.arch == name {
				chosen = append(chosen, t)
				continue names
			}
		}
		return nil, fmt.Errorf("%q is not an architecture that is built for", name)
	}
	return chosen, nil
}

// compile builds the daemon for a target and returns the executable. It makes the program
// lean if the routers have little flash. If that fails, note is a line with the reason.
func (r *release) compile(t target) (exe []byte, note string, err error) {
	exe, err = r.build(t, r.root, "./cmd/p2pwall")
	if err != nil || !t.small {
		return exe, "", err
	}
	return r.lean(exe)
}

// build builds a program of the Go module in dir.
func (r *release) build(t target, dir, program string) ([]byte, error) {
	work, err := os.MkdirTemp("", "p2pwall-build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)

	command, args, env, err := r.patchedGo(t, work)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(work, "program")
	args = slices.Concat([]string{"build"}, args, r.flags(t), []string{"-o", file, program})
	cmd := exec.Command(command, args...)
	cmd.Dir = dir
	cmd.Env = slices.Concat(os.Environ(), []string{"CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=", "GOWORK=off"}, t.env, env)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building for %s: %w\n%s", t.arch, err, out)
	}
	return os.ReadFile(file)
}

// flags returns the arguments of go build. The feed's recipe, openwrt/Makefile, has the same.
func (r *release) flags(t target) []string {
	flags := []string{
		"-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -buildid= -X main.version=" + r.version + " -X main.commit=" + r.commit,
	}
	if t.small {
		// Inlined calls would be a sixth of the program's size on flash. So only the
		// packet path is inlined.
		const module = "github.com/p2pwall/p2pwall/"
		flags = append(flags, "-gcflags=all=-l")
		for _, path := range []string{"nfq", "state", "detect"} {
			flags = append(flags, "-gcflags="+module+path+"=")
		}
	}
	return flags
}

// lean makes a program smaller on flash. It runs openwrt/lean, which is a separate module. If
// the tool does not know the program, it leaves it unchanged and says so in a line.
func (r *release) lean(exe []byte) (small []byte, note string, err error) {
	work, err := os.MkdirTemp("", "p2pwall-lean-")
	if err != nil {
		return nil, "", err
	}
	defer os.RemoveAll(work)
	file := filepath.Join(work, "p2pwall")
	if err := os.WriteFile(file, exe, 0o755); err != nil {
		return nil, "", err
	}
	var said strings.Builder
	cmd := r.leanCommand(file)
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return nil, "", fmt.Errorf("lean: %w\n%s", err, said.String())
	}
	small, err = os.ReadFile(file)
	_, why, _ := strings.Cut(said.String(), " is left as it is: ")
	return small, strings.TrimSpace(why), err
}

// leanCommand returns the command that runs the tool on this machine, for any target.
func (r *release) leanCommand(args ...string) *exec.Cmd {
	cmd := exec.Command("go", append([]string{"run", "."}, args...)...)
	cmd.Dir = r.path("openwrt/lean")
	cmd.Env = append(os.Environ(), "GOOS=", "GOARCH=", "GOFLAGS=", "GOWORK=off")
	return cmd
}
