// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// A target is one architecture by the packaging system's name for it, and what
// the Go compiler must be told to build for it.
type target struct {
	arch  string
	env   []string
	small bool // its routers have little flash
}

// openWrtTargets are the architectures of most routers. cortex-a9 is built as
// ARMv5 because the bcm53xx routers, which use it, have no FPU; the MIPS cores
// have none either.
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

// choose returns the targets named in a list separated by commas, all of them
// when the list is empty.
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

// compile builds the daemon for a target and returns the executable.
func (r *release) compile(t target) ([]byte, error) {
	exe, err := r.build(t, "./cmd/p2pwall")
	if err != nil || !t.small {
		return exe, err
	}
	lean, err := withoutLines(exe)
	if err != nil {
		fmt.Fprintf(os.Stderr, "package: the program for %s keeps its lines, 0.3 MB: %v\n", t.arch, err)
		return exe, nil
	}
	return lean, nil
}

// build has Go build a program, as small as it can for a target with little flash.
func (r *release) build(t target, program string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "p2pwall-build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)

	args := []string{"build", "-trimpath", "-buildvcs=false"}
	overlay, err := t.overlay(dir)
	if err != nil {
		return nil, err
	}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	env := slices.Concat(os.Environ(), []string{"CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=", "GOWORK=off"}, t.env)
	link := "-s -w -buildid= -X main.version=" + r.version
	if t.small {
		// Segments begin at pages of 4 KiB, which these routers have, not
		// of 64 KiB.
		link += " -R 4096"
		flags, experiment := smallFlags()
		args = append(args, flags...)
		env = append(env, "GOEXPERIMENT="+experiment)
	}
	cmd := exec.Command("go", append(args, "-ldflags", link, "-o", dir+"/program", program)...)
	cmd.Dir = r.root
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building for %s: %w\n%s", t.arch, err, out)
	}
	return os.ReadFile(dir + "/program")
}

// smallFlags tells Go's compiler to write little code, but for the packet path.
func smallFlags() (flags []string, experiment string) {
	const module = "github.com/p2pwall/p2pwall/"
	packetPath := []string{module + "nfq", module + "state", module + "detect"}
	if !isTableVersion(runtime.Version()) {
		// Of another version it is not known what these options do.
		flags = []string{"-gcflags=all=-l"}
		for _, path := range packetPath {
			flags = append(flags, "-gcflags="+path+"=")
		}
		return flags, ""
	}
	// A call is written out in place only where that is hardly longer than a
	// call: a budget of 12, 80 being Go's, which needs the inliner of the
	// experiment. The other budgets are what was smallest of several that were
	// tried. A list of unknown length has no second way for short ones, and a
	// deferred call is made in one way only.
	const other = ",variablemakethreshold=0,noopendefer"
	budget := func(path string, n int) {
		flags = append(flags, fmt.Sprintf("-gcflags=%s=-d=inlbudgetslack=%d%s", path, n-80, other))
	}
	budget("all", 12)
	budget("fmt", 4)
	budget("internal/runtime/maps", 4)
	budget("strings", 20)
	for _, path := range packetPath {
		budget(path, 81) // 80 would be asked for by 0, which says nothing
	}
	// The former garbage collector is 24 KB smaller than that of Go 1.26.
	return flags, "newinliner,nogreenteagc"
}
