// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
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
	filters string // with which packet filters they run
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
	flag.StringVar(&arch, "arch", "all", "`machines`, comma separated: mips, mipsel, arm, arm64, x86_64, x86_64-bullseye, x86_64-trixie, x86_64-sid, or all; mips-off is mips with -off -stages scenarios, beside the others")
	flag.BoolVar(&prepare, "prepare", false, "download and build, do not boot")
	flag.BoolVar(&b.off, "off", false, "switch the wall off: every scenario must fail")
	flag.BoolVar(&b.bare, "bare", false, "without the package: only what the rules need of the kernel")
	flag.IntVar(&b.mb, "memory", 0, "memory in `MB` instead of the machine's own")
	flag.StringVar(&b.stages, "stages", "", "comma separated `stages` instead of all: queue, offload, service, forward, everyday, scenarios")
	flag.StringVar(&b.tests, "run", "", "`pattern` of the scenarios to run")
	flag.StringVar(&b.filters, "filters", "nft iptables", "packet `filters` with which the scenarios run")
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

	var chosen []*prepared
	for i := range machines {
		for _, name := range strings.Split(arch, ",") {
			name, off := strings.CutSuffix(name, "-off")
			if name != machines[i].Arch && name != "all" {
				continue
			}
			own := *b
			if off {
				own.off, own.stages = true, "scenarios"
			}
			chosen = append(chosen, &prepared{bed: &own, m: &machines[i]})
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("no machine %q: -help lists them", arch)
	}
	// QEMU takes one processor for a machine. The images are made one after the other.
	rows, errs := make([]row, len(chosen)), make([]error, len(chosen))
	free := make(chan struct{}, runtime.NumCPU())
	var running sync.WaitGroup
	for i, p := range chosen {
		if errs[i] = p.prepare(); errs[i] != nil {
			break
		}
		if prepare {
			continue
		}
		free <- struct{}{}
		running.Go(func() {
			rows[i], errs[i] = p.run()
			<-free
		})
	}
	running.Wait()
	for i, p := range chosen {
		if errs[i] != nil {
			return fmt.Errorf("%s: %w", p.name(), errs[i])
		}
	}
	if prepare {
		return nil
	}
	bad := 0
	for _, off := range []bool{false, true} {
		var some []row
		for _, r := range rows {
			if r.Off == off {
				some = append(some, r)
			}
			if r.Off == off && !r.OK {
				bad++
			}
		}
		if err := b.report(some, off); err != nil {
			return err
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d machines failed", bad, len(rows))
	}
	return nil
}

// prepared is a machine that is run once.
type prepared struct {
	*bed
	m      *machine
	kernel string
	img    *image
}

// name is the name of the machine's files.
func (p *prepared) name() string { return p.m.Arch + map[bool]string{true: "-off"}[p.off] }

// prepare downloads and builds what the machine boots from.
func (p *prepared) prepare() (err error) {
	if err := p.install(p.m.Arch); err != nil {
		return err
	}
	if len(p.m.Outside) > 0 {
		if _, err := p.outside(); err != nil {
			return err
		}
	}
	if p.kernel, err = p.bed.kernel(p.m); err != nil {
		return err
	}
	tools, err := p.tools(p.m)
	if err != nil {
		return err
	}
	p.img, err = p.image(p.m, p.name(), p.kernel, tools)
	return err
}

// run runs the machine.
func (p *prepared) run() (row, error) {
	log := filepath.Join(p.out, p.name()+".log")
	// The emulated malta board sometimes hangs, at any point. Then it is booted once
	// more.
	for try := 0; ; try++ {
		p.say("%s: booting with %d MB, console in %s", p.name(), p.memory(p.m), log)
		o, err := p.boot(p.m, p.name(), p.kernel, p.img, log)
		if errors.Is(err, errHangs) && try == 0 {
			p.say("%s: %v: booting once more", p.name(), err)
			continue
		}
		if o == nil {
			return row{}, err
		}
		return p.row(p.m, o, p.img, err), nil
	}
}
