// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// queueNumber is the first queue of the measured program.
const queueNumber = 214

// The names of the compared programs.
const (
	nameC     = "C reference"
	nameWall  = "p2pwall"
	nameBase  = "base"
	namePlain = "plain forwarding"
	nameDrop  = "kernel drop"
)

// program is something that gives verdicts.
type program struct {
	pid  int
	wall *lab.Wall // nil for the C reference
	stop func() error
}

// buildWall builds p2pwall from the checkout dir, with the options of a release.
func buildWall(dir, out string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version=bench", "-o", out, "./cmd/p2pwall")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building p2pwall in %s: %w\n%s", dir, err, b)
	}
	return nil
}

// buildReference builds the C reference.
func buildReference(dir, out string) error {
	cmd := exec.Command("cc", "-O2", "-o", out, filepath.Join(dir, "bench/creference/nfqref.c"))
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the C reference: %w\n%s", err, b)
	}
	return nil
}

// startReference starts the C reference in the router.
func (b *bench) startReference(l *lab.Lab) (*program, error) {
	unpin, err := pin(programCPU)
	if err != nil {
		return nil, err
	}
	defer unpin()
	cmd := l.Router.Command(b.reference, strconv.Itoa(queueNumber))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r := bufio.NewReader(out)
	if line, err := r.ReadString('\n'); strings.TrimSpace(line) != "ready" {
		_ = cmd.Process.Kill()
		return nil, errors.Join(fmt.Errorf("the C reference said %q", line), err, cmd.Wait())
	}
	return &program{pid: cmd.Process.Pid, stop: func() error {
		if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
			return err
		}
		_, _ = r.ReadString('\n')
		return cmd.Wait()
	}}, nil
}

// wallOptions are options of the main section. They override those of the benchmark.
type wallOptions map[string]string

// startWall starts a p2pwall in the router. With bare it loads no rules.
func (b *bench) startWall(l *lab.Lab, bin string, bare bool, options wallOptions) (*program, error) {
	unpin, err := pin(programCPU)
	if err != nil {
		return nil, err
	}
	defer unpin()
	return b.startWallHere(l, bin, bare, options)
}

// startWallHere is startWall without a fixed processor.
func (b *bench) startWallHere(l *lab.Lab, bin string, bare bool, options wallOptions) (*program, error) {
	dir, err := os.MkdirTemp(b.dir, "wall")
	if err != nil {
		return nil, err
	}
	cfg := lab.WallConfig{Bin: bin, Dir: dir, Main: map[string]string{
		"timelock": "120", "queue": strconv.Itoa(queueNumber), "state_file": "",
	}}
	maps.Copy(cfg.Main, options)
	if bare {
		cfg.Args = []string{"--no-rules"}
	}
	w, err := l.LaunchWall(cfg)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if s, err := w.Status(); err == nil && s.RulesOK {
			break
		}
		if !w.Running() || time.Now().After(end) {
			w.Kill()
			return nil, fmt.Errorf("p2pwall does not start:\n%s", w.LogText())
		}
	}
	return &program{pid: w.Pid(), wall: w, stop: w.Stop}, nil
}

// queued returns how many packets the router's queues have taken so far: the sum of the
// last packet ids.
func queued(l *lab.Lab) (n uint64, err error) {
	err = l.Router.Do(func() error {
		f, err := os.Open("/proc/thread-self/net/netfilter/nfnetlink_queue")
		if err != nil {
			return err
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if fields := strings.Fields(s.Text()); len(fields) >= 8 {
				id, err := strconv.ParseUint(fields[7], 10, 32)
				if err != nil {
					return err
				}
				n += id
			}
		}
		return nil
	})
	return n, err
}

// used is what a program used in a window of time.
type used struct {
	packets float64
	micros  float64 // CPU time
	seconds float64
}

func (u used) perPacket() float64 { return u.micros / u.packets }
func (u used) kpps() float64      { return u.packets / u.seconds / 1000 }

// watch measures a program for the window.
func (b *bench) watch(l *lab.Lab, p *program) (used, error) {
	cpu0, err := processTime(p.pid)
	if err != nil {
		return used{}, err
	}
	n0, err := queued(l)
	if err != nil {
		return used{}, err
	}
	begin := time.Now()
	time.Sleep(b.window)
	n1, err := queued(l)
	if err != nil {
		return used{}, err
	}
	cpu1, err := processTime(p.pid)
	if err != nil {
		return used{}, err
	}
	u := used{float64(n1 - n0), float64(cpu1-cpu0) / 1e3, time.Since(begin).Seconds()}
	if u.packets == 0 {
		return u, errors.New("no packet came to the queue")
	}
	return u, nil
}

// under measures a program while traffic flows.
func (b *bench) under(l *lab.Lab, p *program, h *lab.Host, t traffic) (used, error) {
	g, err := generate(h, t)
	if err != nil {
		return used{}, err
	}
	time.Sleep(b.window / 4)
	u, err := b.watch(l, p)
	return u, errors.Join(err, g.end())
}
