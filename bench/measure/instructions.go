// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// instructions counts the instructions of the packages' benchmarks on big-endian MIPS
// without a floating-point unit, in QEMU's user mode. Unlike times, the counts are nearly
// the same in every run, also on a busy machine: they differ by about 50 a call.
func (b *bench) instructions() error {
	const qemu = "qemu-mips"
	for _, tool := range []string{qemu, "cc"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("the program %s is missing (packages qemu-user, gcc)", tool)
		}
	}
	plugin := filepath.Join(b.dir, "qemucount.so")
	source := filepath.Join(b.root, "bench/measure/qemucount/qemucount.c")
	if out, err := exec.Command("cc", "-O2", "-shared", "-fPIC", "-o", plugin, source).CombinedOutput(); err != nil {
		return fmt.Errorf("building the QEMU plugin: %w\n%s", err, out)
	}
	type tree struct{ name, dir string }
	trees := []tree{{nameWall, b.root}}
	if b.base != "" {
		trees = append(trees, tree{nameBase, b.baseDir()})
	}
	for _, t := range trees {
		for _, part := range parts {
			if _, err := os.Stat(filepath.Join(t.dir, part)); err != nil && t.name == nameBase {
				continue // the base is older than this package
			}
			program := filepath.Join(b.dir, t.name+"."+filepath.Base(part)+".mips")
			cmd := exec.Command("go", "test", "-c", "-o", program, part)
			cmd.Dir = t.dir
			cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=mips", "GOMIPS=softfloat", "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("building the tests of %s: %w\n%s", part, err, out)
			}
			// A package's benchmarks may read its testdata.
			m := mips{qemu, plugin, program, filepath.Join(t.dir, part)}
			out, _, err := m.run(".", 1)
			if err != nil {
				return err
			}
			for _, name := range benchNames(out) {
				n, err := m.perCall(name)
				if err != nil {
					return err
				}
				b.addInstructions(filepath.Base(part), name, t.name, n)
			}
		}
	}
	return nil
}

// addInstructions notes one count. The last part of a name can be the size of the tables.
// The count should then not depend on the size.
func (b *bench) addInstructions(pkg, name, tree string, n float64) {
	empty, full := "1x1", fmt.Sprintf("%dx%d", flatHosts, flatPeers)
	series, sized := tree, false
	for _, size := range []string{empty, full} {
		if rest, ok := strings.CutSuffix(name, "/"+size); ok {
			name, series, sized = rest, size, true
			if tree == nameBase {
				series += ", base"
			}
		}
	}
	x := b.report.result("MIPS instructions, "+pkg+"."+strings.ReplaceAll(name, "_", " "), "count")
	x.add(series, n)
	if sized {
		x.atMost(full, empty, 1.2)
	}
	if b.base != "" && tree == nameBase {
		now := strings.TrimSuffix(series, ", base")
		if !sized {
			now = nameWall
		}
		x.compare(now, series)
	}
}

// mips runs a test program under QEMU.
type mips struct{ qemu, plugin, program, dir string }

// run runs the benchmarks that match, each n times. It returns their output and the
// number of instructions of the whole process.
func (m mips) run(pattern string, n int) (out string, count float64, err error) {
	cmd := exec.Command(m.qemu, "-plugin", m.plugin, m.program, "-test.run=NONE",
		"-test.bench="+pattern, fmt.Sprintf("-test.benchtime=%dx", n))
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", 0, fmt.Errorf("%s: %w\n%s%s", strings.Join(cmd.Args, " "), err, &stdout, &stderr)
	}
	i := strings.LastIndex(stderr.String(), "instructions ")
	if i < 0 {
		return "", 0, errors.New("the plugin said nothing")
	}
	_, err = fmt.Sscanf(stderr.String()[i:], "instructions %f", &count)
	return stdout.String(), count, err
}

// perCall returns the instructions of one call of a benchmark's loop: the difference
// between a long run and a short one, which leaves out start and end of the process, and the
// first calls, which fill tables. Start and end vary by about a million instructions, so a
// cheap call is repeated more often. A dear one, such as an open page with many clients, is
// repeated less, or the whole would take hours.
func (m mips) perCall(name string) (n float64, err error) {
	const enough, most, dear = 30e6, 2_000_000, 1e5
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	parts[0] = "^Benchmark" + parts[0][1:]
	pattern := strings.Join(parts, "/")
	_, one, err := m.run(pattern, 1)
	if err != nil {
		return 0, err
	}
	_, more, err := m.run(pattern, 101)
	if err != nil {
		return 0, err
	}
	short, extra := 2000, 200
	if (more-one)/100 > dear {
		short, extra = 20, 20
	}
	a, err := m.fewest(pattern, short)
	for ; err == nil; extra *= 10 {
		long := short + extra
		var z float64
		z, err = m.fewest(pattern, long)
		n = (z - a) / float64(extra)
		if z-a > max(enough, a/20) || extra > most {
			break
		}
	}
	return n, err
}

// fewest returns the lowest count of several runs. The Go runtime adds other work to
// each, which differs from run to run.
func (m mips) fewest(pattern string, n int) (fewest float64, err error) {
	for i := range 4 {
		_, count, err := m.run(pattern, n)
		if err != nil {
			return 0, err
		}
		if i == 0 || count < fewest {
			fewest = count
		}
	}
	return fewest, nil
}

// benchNames returns the names of the benchmarks that ran.
func benchNames(out string) (names []string) {
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, "Benchmark"); ok {
			if f := strings.Fields(rest); len(f) >= 4 {
				names = append(names, f[0])
			}
		}
	}
	return names
}
