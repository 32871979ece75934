// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// bed is one run of the test bed.
type bed struct {
	cache   string // folder for what is kept between runs
	out     string // folder for the results
	dist    string // folder of the packages
	off     bool   // run with the wall switched off
	bare    bool   // run without the package
	mb      int    // memory, 0 for the machine's own
	stages  string // which stages, "" for all
	tests   string // which scenarios, a pattern of go test
	timeout time.Duration
	silence time.Duration
	verbose bool
}

func (b *bed) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// memory returns how many MB a machine gets. Without the wall the tests need more: they
// record all traffic, and nothing stops it.
func (b *bed) memory(m *machine) int {
	switch {
	case b.mb > 0:
		return b.mb
	case b.off:
		return max(m.MB, 128)
	}
	return m.MB
}

func main() {
	b := &bed{}
	var arch string
	var prepare bool
	flag.StringVar(&arch, "arch", "all", "`machines`, comma separated: mips, mipsel, arm, arm64, x86_64, x86_64-bullseye, x86_64-trixie, x86_64-sid, or all")
	flag.BoolVar(&prepare, "prepare", false, "download and build, do not boot")
	flag.BoolVar(&b.off, "off", false, "switch the wall off: every scenario must fail")
	flag.BoolVar(&b.bare, "bare", false, "without the package: only what the rules need of the kernel")
	flag.IntVar(&b.mb, "memory", 0, "memory in `MB` instead of the machine's own")
	flag.StringVar(&b.stages, "stages", "", "comma separated `stages` instead of all: queue, offload, service, forward, scenarios")
	flag.StringVar(&b.tests, "run", "", "`pattern` of the scenarios to run")
	flag.StringVar(&b.dist, "dist", "dist", "`folder` with the packages")
	flag.StringVar(&b.out, "out", ".cache/router", "`folder` for the table and the logs")
	flag.DurationVar(&b.timeout, "timeout", 40*time.Minute, "longest run of one machine")
	flag.DurationVar(&b.silence, "silence", 10*time.Minute, "longest silence of a machine's console")
	flag.BoolVar(&b.verbose, "v", false, "show the whole console")
	flag.Parse()
	if err := b.run(arch, prepare); err != nil {
		fmt.Fprintln(os.Stderr, "router:", err)
		os.Exit(1)
	}
}

func (b *bed) run(arch string, prepare bool) error {
	if os.Getuid() != 0 {
		return fmt.Errorf("needs root, to install packages and to read /usr/src")
	}
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return err
	}
	cache, unlock, err := lab.Cache("router")
	if err != nil {
		return err
	}
	defer unlock()
	b.cache = cache

	var chosen []*machine
	for i := range machines {
		if arch == "all" || slices.Contains(strings.Split(arch, ","), machines[i].Arch) {
			chosen = append(chosen, &machines[i])
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("no machine %q: -help lists them", arch)
	}
	var rows []row
	bad := 0
	for _, m := range chosen {
		r, err := b.machine(m, prepare)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Arch, err)
		}
		if prepare {
			continue
		}
		rows = append(rows, r)
		if !r.OK {
			bad++
		}
	}
	if prepare {
		return nil
	}
	if err := b.report(rows); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d machines failed", bad, len(rows))
	}
	return nil
}

// machine prepares one machine and, unless prepare is set, runs it.
func (b *bed) machine(m *machine, prepare bool) (row, error) {
	if err := b.install(m.Arch); err != nil {
		return row{}, err
	}
	if len(m.Outside) > 0 {
		if _, err := b.outside(); err != nil {
			return row{}, err
		}
	}
	kernel, err := b.kernel(m)
	if err != nil {
		return row{}, err
	}
	tools, err := b.tools(m)
	if err != nil {
		return row{}, err
	}
	log := filepath.Join(b.out, m.Arch+map[bool]string{true: "-off"}[b.off]+".log")
	var img *image
	var o *outcome
	// The emulated malta board sometimes hangs, at any point. Then it is booted once
	// more.
	for try := range 2 {
		if img, err = b.image(m, kernel, tools); err != nil || prepare {
			return row{}, err
		}
		b.say("%s: booting with %d MB, console in %s", m.Arch, b.memory(m), log)
		if o, err = b.boot(m, kernel, img, log); !errors.Is(err, errHangs) || try > 0 {
			break
		}
		b.say("%s: %v: booting once more", m.Arch, err)
	}
	if o == nil {
		return row{}, err
	}
	return b.row(m, o, img, err), nil
}
