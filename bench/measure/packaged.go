// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// Everything in this file is measured with the packages, as routers get them.

// packages builds the packages of one architecture and returns their folder.
func (b *bench) packages(arch string) (string, error) {
	dist := filepath.Join(b.dir, "dist-"+arch)
	return dist, b.goRun("openwrt/package", ".", "-only", arch, "-out", dist)
}

// goRun runs a Go program of the checkout in the folder dir of the checkout.
func (b *bench) goRun(dir string, args ...string) error {
	cmd := exec.Command("go", append([]string{"run"}, args...)...)
	cmd.Dir = filepath.Join(b.root, dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v in %s: %w\n%s", cmd.Args, cmd.Dir, err, out)
	}
	return nil
}

// size measures the size of the program for the smallest routers.
func (b *bench) size() error {
	const arch = "mips_24kc"
	dist, err := b.packages(arch)
	if err != nil {
		return err
	}
	sizes, err := os.ReadFile(filepath.Join(dist, "SIZES"))
	if err != nil {
		return err
	}
	line := regexp.MustCompile(`(?m)^` + arch + ` +(\d+) +\S+ +(\d+)$`).FindSubmatch(sizes)
	if line == nil {
		return fmt.Errorf("no sizes of %s (mksquashfs and xz are needed):\n%s", arch, sizes)
	}
	for i, what := range []struct {
		name string
		goal float64
	}{
		{"program for mips, soft float, as packaged", 2_900_000},
		{"the same in a squashfs with xz", 760_000},
	} {
		n, err := strconv.Atoi(string(line[1+i]))
		if err != nil {
			return err
		}
		x := b.report.result(what.name, "bytes")
		x.add(nameWall, float64(n))
		x.atMost(nameWall, "", what.goal)
	}
	return nil
}

// forward measures bulk traffic through an emulated router with OpenWrt's firewalls and
// the kernel's native nft queue. The router's clock counts instructions, so other work on
// this machine does not change the result. The result varies only between boots.
func (b *bench) forward() error {
	const arch, boots = "x86_64", 3
	dist, err := b.packages(arch)
	if err != nil {
		return err
	}
	for range boots {
		out, err := os.MkdirTemp(b.dir, "router")
		if err != nil {
			return err
		}
		if err := b.goRun(".", "./bench/router", "-arch", arch, "-stages", "forward", "-dist", dist, "-out", out); err != nil {
			return err
		}
		if err := b.addForward(filepath.Join(out, "router.json")); err != nil {
			return err
		}
	}
	return nil
}

// addForward notes the results of one boot.
func (b *bench) addForward(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var rows []struct {
		Forward map[string]struct {
			UDPOff float64 `json:"udp_ns_off"`
			UDPOn  float64 `json:"udp_ns_on"`
			TCPOff float64 `json:"tcp_ns_off"`
			TCPOn  float64 `json:"tcp_ns_on"`
		}
	}
	if err := json.Unmarshal(text, &rows); err != nil {
		return err
	}
	if len(rows) != 1 {
		return fmt.Errorf("%s has %d machines", file, len(rows))
	}
	for _, firewall := range []struct{ name, title string }{
		{"nft", "fw4"}, {"offload", "fw4 with flow offload"}, {"iptables", "fw3"},
	} {
		f, ok := rows[0].Forward[firewall.name]
		if !ok {
			return fmt.Errorf("nothing was forwarded past %s", firewall.title)
		}
		for _, what := range []struct {
			name    string
			off, on float64
		}{{"UDP", f.UDPOff, f.UDPOn}, {"TCP", f.TCPOff, f.TCPOn}} {
			x := b.report.result("1400 bytes of bulk "+what.name+", "+firewall.title+", counted instructions of 2 ns", "ns")
			x.add("wall on", what.on)
			x.add("wall off", what.off)
			// A ratio of times is the inverse of a ratio of throughput.
			x.atLeast("wall off", "wall on", 0.98)
		}
	}
	return nil
}
