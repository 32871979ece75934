// SPDX-License-Identifier: GPL-2.0-or-later

package soulseek

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
	"github.com/p2pwall/p2pwall/bench/netns"
)

// The shared file, and its folder as others see it.
const (
	fileName   = "film.mp3"
	folderName = "Music"
)

// options say how a program is to run.
type options struct {
	ns     *netns.Namespace
	dir    string         // for its settings and files
	user   string         // its name on the network
	server netip.AddrPort // where it logs in
	port   uint16         // where it listens
	device string         // the only one that it uses, or ""
	rate   int            // KiB a second that it uploads; 0 is no limit
	share  int            // bytes of the file that it shares; 0 is no file
	from   string         // whose file it wants; "" is nobody's
	size   int            // bytes of that
}

func (o *options) shared() string   { return filepath.Join(o.dir, "share") }
func (o *options) complete() string { return filepath.Join(o.dir, "down") }
func (o *options) partial() string  { return filepath.Join(o.dir, "part") }

// kind is a program.
type kind struct {
	name    string
	command func(*options) (*exec.Cmd, error)
	needs   []string
}

// program is one that runs.
type program struct {
	opt  options
	cmd  *exec.Cmd
	done chan struct{}
	log  lab.Output
}

// start runs a program, with the file where it shares one.
func start(l *lab.Lab, k *kind, o options) (*program, error) {
	for _, dir := range []string{o.shared(), o.complete(), o.partial()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	if o.share > 0 {
		if err := os.WriteFile(filepath.Join(o.shared(), fileName), content(o.share), 0o644); err != nil {
			return nil, err
		}
	}
	cmd, err := k.command(&o)
	if err != nil {
		return nil, err
	}
	p := &program{opt: o, cmd: cmd, done: make(chan struct{})}
	cmd.Dir = o.dir
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", k.name, err)
	}
	go func() {
		cmd.Wait()
		close(p.done)
	}()
	l.OnClose(p.stop)
	return p, nil
}

// stop ends the program as a user would, and by force when it takes too long.
func (p *program) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
}

// got is how many bytes of the file it has: the largest of what it downloads or has.
func (p *program) got() (most int) {
	for _, dir := range []string{p.opt.complete(), p.opt.partial()} {
		all, _ := os.ReadDir(dir)
		for _, f := range all {
			if info, err := f.Info(); err == nil {
				most = max(most, int(info.Size()))
			}
		}
	}
	return most
}

// content is what the file has: no two parts are alike.
func content(n int) []byte {
	b := make([]byte, n)
	x := uint64(1)
	for i := range b {
		x = x*6364136223846793005 + 1442695040888963407
		b[i] = byte(x >> 56)
	}
	return b
}
