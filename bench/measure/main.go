// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// bench is one run of the benchmark.
type bench struct {
	dir       string // folder for built programs and other files
	root      string // the checkout
	wall      string // the program
	base      string // the program of another revision, "" for none
	reference string // the C reference
	runs      int
	window    time.Duration
	report    Report
}

// measurements are what can be measured, in the order of the table.
var measurements = []struct {
	name string
	run  func(*bench) error
	both bool // also against another revision
}{
	{"queue", (*bench).queue, true},
	{"machine", (*bench).machine, false},
	{"latency", (*bench).latency, true},
	{"flat", (*bench).flat, true},
	{"fanout", (*bench).fanout, false},
	{"drop", (*bench).drop, false},
	{"bulk", (*bench).bulk, false},
	{"everyday", (*bench).everyday, true},
	{"flood", (*bench).flood, false},
	{"start", (*bench).start, false},
	{"forward", (*bench).forward, false},
	{"size", (*bench).size, false},
	{"instructions", (*bench).instructions, true},
}

func main() {
	os.Exit(run())
}

func run() int {
	var names []string
	for _, m := range measurements {
		names = append(names, m.name)
	}
	runs := flag.Int("runs", 7, "how often everything is measured")
	window := flag.Duration("window", time.Second, "how long each measurement lasts")
	only := flag.String("only", "", "measure only these, of "+strings.Join(names, ","))
	out := flag.String("json", "dist/bench.json", "file for the result as JSON, empty for none")
	base := flag.String("base", "", "compare this tree with a revision of it")
	wall := flag.String("bin", "", "a p2pwall that is built already")
	flag.Parse()

	defer first()()
	b := &bench{runs: *runs, window: *window, wall: *wall}
	err := b.prepare()
	defer os.RemoveAll(b.dir)
	if err == nil && *base != "" {
		err = b.prepareBase(*base)
		defer b.removeBase()
	}
	ready := err == nil
	for _, m := range measurements {
		if !ready {
			break
		}
		if *only != "" && !slices.Contains(strings.Split(*only, ","), m.name) || *base != "" && *only == "" && !m.both {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s ...\n", m.name)
		// If one measurement fails, the others still count.
		if e := m.run(b); e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", m.name, e))
		}
	}
	b.report.finish()
	b.report.print(os.Stdout)
	if *out != "" {
		if err := os.MkdirAll(filepath.Dir(*out), 0o755); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if err := b.report.write(*out); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if err == nil && *base != "" && *only == "" {
		err = b.compareParts(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// prepare checks the machine and builds the programs to measure.
func (b *bench) prepare() error {
	if os.Geteuid() != 0 {
		return errors.New("needs root: network namespaces and kernel queues")
	}
	if runtime.NumCPU() < 2 {
		return errors.New("needs two processors: one makes the load, one runs the program")
	}
	for _, tool := range []string{"ip", "iptables", "nft", "cc", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("the program %s is missing", tool)
		}
	}
	lab.CloseOnSignal()
	var err error
	if b.dir, err = os.MkdirTemp("", "p2pwall-measure-"); err != nil {
		return err
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("run it in the checkout: %w", err)
	}
	b.root = strings.TrimSpace(string(out))
	b.describe()
	b.reference = filepath.Join(b.dir, "nfqref")
	if err := buildReference(b.root, b.reference); err != nil {
		return err
	}
	if b.wall != "" {
		return nil
	}
	b.wall = filepath.Join(b.dir, "p2pwall")
	return buildWall(b.root, b.wall)
}

// describe notes the machine, and how busy other work keeps it.
func (b *bench) describe() {
	var u unix.Utsname
	_ = unix.Uname(&u)
	busy0, all0 := machineTime()
	time.Sleep(2 * time.Second)
	busy1, all1 := machineTime()
	model := runtime.GOARCH
	if cpuinfo, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(cpuinfo)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	b.report = Report{
		Machine: fmt.Sprintf("%d x %s", runtime.NumCPU(), model),
		Kernel:  unix.ByteSliceToString(u.Release[:]),
		Go:      runtime.Version(),
		Load:    load(),
		Busy:    (busy1 - busy0) / (all1 - all0),
		Runs:    b.runs,
		Window:  b.window.String(),
	}
}

// turns returns the numbers below n. The order rotates with each run, so that none is
// always first.
func turns(run, n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = (i + run) % n
	}
	return order
}
