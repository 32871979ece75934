// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// A target is one architecture by the packaging system's name for it, and what
// the Go compiler must be told to build for it.
type target struct {
	arch string
	env  []string
}

// openWrtTargets are the architectures of most routers. cortex-a9 is built as
// ARMv5 because the bcm53xx routers, which use it, have no FPU; the MIPS cores
// have none either.
var openWrtTargets = []target{
	{"mips_24kc", []string{"GOARCH=mips", "GOMIPS=softfloat"}},
	{"mipsel_24kc", []string{"GOARCH=mipsle", "GOMIPS=softfloat"}},
	{"arm_cortex-a7_neon-vfpv4", []string{"GOARCH=arm", "GOARM=7"}},
	{"arm_cortex-a9", []string{"GOARCH=arm", "GOARM=5"}},
	{"aarch64_cortex-a53", []string{"GOARCH=arm64"}},
	{"x86_64", []string{"GOARCH=amd64"}},
	{"i386_pentium4", []string{"GOARCH=386", "GO386=sse2"}},
}

var debianTargets = []target{
	{"amd64", []string{"GOARCH=amd64"}},
	{"arm64", []string{"GOARCH=arm64"}},
	{"armhf", []string{"GOARCH=arm", "GOARM=7"}},
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
	dir, err := os.MkdirTemp("", "p2pwall-build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)

	args := []string{"build", "-trimpath", "-buildvcs=false"}
	link := "-s -w -buildid= -X main.version=" + r.version
	if small(t.env) {
		// Calls instead of copies, but for the packet path; and segments
		// that begin at pages of 4 KiB, which these routers have, not of
		// 64 KiB. Together they save 0.25 MB of flash.
		const module = "github.com/p2pwall/p2pwall/"
		args = append(args, "-gcflags=all=-l", "-gcflags="+module+"nfq=", "-gcflags="+module+"state=", "-gcflags="+module+"detect=")
		link += " -R 4096"
	}
	args = append(args, "-ldflags", link, "-o", dir+"/p2pwall", "./cmd/p2pwall")
	cmd := exec.Command("go", args...)
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=", "GOWORK=off")
	cmd.Env = append(cmd.Env, t.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building for %s: %w\n%s", t.arch, err, out)
	}
	return os.ReadFile(dir + "/p2pwall")
}

// small reports whether the target has little flash: the MIPS routers.
func small(env []string) bool {
	return slices.Contains(env, "GOARCH=mips") || slices.Contains(env, "GOARCH=mipsle")
}
