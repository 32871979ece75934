// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// baseDir is the folder with the checkout of the other revision.
func (b *bench) baseDir() string { return filepath.Join(b.dir, "base") }

// prepareBase checks out another revision and builds its program.
func (b *bench) prepareBase(rev string) error {
	out, err := exec.Command("git", "-C", b.root, "rev-parse", "--verify", rev+"^{commit}").CombinedOutput()
	if err != nil {
		return fmt.Errorf("revision %s: %w: %s", rev, err, out)
	}
	commit := strings.TrimSpace(string(out))
	if out, err := exec.Command("git", "-C", b.root, "worktree", "add", "--detach", b.baseDir(), commit).CombinedOutput(); err != nil {
		return fmt.Errorf("checking out %s: %w: %s", rev, err, out)
	}
	b.base = filepath.Join(b.dir, "p2pwall.base")
	b.report.Base = commit
	return buildWall(b.baseDir(), b.base)
}

func (b *bench) removeBase() {
	_ = exec.Command("git", "-C", b.root, "worktree", "remove", "--force", b.baseDir()).Run()
}

// parts are the packages with benchmarks of their own: those of the packet path, and the one
// that answers an open page.
var parts = []string{"./nfq", "./detect", "./state", "./procd/control"}

// compareParts runs the packages' benchmarks in both trees, one tree after the other.
func (b *bench) compareParts(w io.Writer) error {
	times := [2]map[string][]float64{{}, {}}
	var names []string
	dirs := [2]string{b.baseDir(), b.root}
	for range b.runs {
		for i, dir := range dirs {
			cmd := exec.Command("go", append([]string{"test", "-run=NONE", "-bench=.", "-benchtime=50ms"}, parts...)...)
			cmd.Dir = dir
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				return errors.Join(fmt.Errorf("go test -bench in %s", dir), err)
			}
			for name, ns := range parseBench(string(out)) {
				if i == 1 && !slices.Contains(names, name) {
					names = append(names, name)
				}
				times[i][name] = append(times[i][name], ns)
			}
		}
	}
	slices.Sort(names)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "\nbenchmark\tbase ns\tnow ns\tnow/base\tlow..high\t")
	for _, name := range names {
		now := spread(times[1][name])
		old := times[0][name]
		if len(old) == 0 {
			fmt.Fprintf(t, "%s\tnone\t%s\t\t\t\n", name, number(now.Median))
			continue
		}
		var ratios []float64
		for i := range min(len(old), len(times[1][name])) {
			ratios = append(ratios, times[1][name][i]/old[i])
		}
		r := spread(ratios)
		fmt.Fprintf(t, "%s\t%s\t%s\t%.2f\t%.2f..%.2f\t\n", name, number(spread(old).Median), number(now.Median), r.Median, r.Low, r.High)
	}
	return t.Flush()
}

// parseBench reads the output of go test -bench. It returns nanoseconds by benchmark.
func parseBench(out string) map[string]float64 {
	found := map[string]float64{}
	pkg := ""
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) == 2 && f[0] == "pkg:" {
			pkg = f[1][strings.LastIndexByte(f[1], '/')+1:]
		}
		if len(f) >= 4 && strings.HasPrefix(f[0], "Benchmark") && f[3] == "ns/op" {
			name := f[0]
			if i := strings.LastIndexByte(name, '-'); i > 0 {
				name = name[:i]
			}
			if ns, err := strconv.ParseFloat(f[2], 64); err == nil {
				found[pkg+"."+strings.TrimPrefix(name, "Benchmark")] = ns
			}
		}
	}
	return found
}
