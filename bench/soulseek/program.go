// SPDX-License-Identifier: GPL-2.0-or-later

package soulseek

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/p2pwall/p2pwall/bench/lab"
	"github.com/p2pwall/p2pwall/bench/netns"
)

// The shared file, and the name of its folder for other users.
const (
	fileName   = "film.mp3"
	folderName = "Music"
)

// options say how to run a program.
type options struct {
	ns     *netns.Namespace
	dir    string         // for its settings and files
	user   string         // its user name
	server netip.AddrPort // the server's address
	port   uint16         // its listening port
	device string         // the only network device to use, or ""
	rate   int            // upload limit in KiB/s; 0 means no limit
	share  int            // size in bytes of the file to share; 0 means no file
	from   string         // the user to download the file from; "" means no download
	size   int            // size of that file in bytes
	source string         // the folder with Nicotine+'s source to run, or "" for Debian's
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

// program is a running program.
type program struct {
	*lab.Process
	opt options
}

// start starts a program. It writes the file if the program shares one.
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
	cmd.Dir = o.dir
	p, err := l.Start(cmd)
	return &program{p, o}, err
}

// got is the number of bytes of the file on disk: the largest file in the download
// folders.
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

// content is the content of the file. It does not repeat.
func content(n int) []byte {
	b := make([]byte, n)
	x := uint64(1)
	for i := range b {
		x = x*6364136223846793005 + 1442695040888963407
		b[i] = byte(x >> 56)
	}
	return b
}
