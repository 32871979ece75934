// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// archive writes a cpio archive in the "newc" format. The kernel unpacks it as its first
// root; see the kernel's driver-api/early-userspace/buffer-format.
type archive struct {
	w   *gzip.Writer
	f   *os.File
	ino int
	has map[string]bool
	err error
}

func newArchive(path string) (*archive, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &archive{w: gzip.NewWriter(f), f: f, has: map[string]bool{}}, nil
}

// entry appends one file; mode is the full st_mode.
func (a *archive) entry(name string, mode, major, minor int, data []byte) {
	if a.err != nil {
		return
	}
	a.ino++
	_, a.err = fmt.Fprintf(a.w, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.ino, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name)+1, 0, name)
	a.pad(110 + len(name) + 1)
	if a.err == nil {
		_, a.err = a.w.Write(data)
	}
	a.pad(len(data))
}

func (a *archive) pad(n int) {
	if a.err == nil {
		_, a.err = a.w.Write(make([]byte, (4-n%4)%4))
	}
}

func (a *archive) dir(name string) {
	if name == "." || name == "/" || a.has[name] {
		return
	}
	a.dir(filepath.Dir(name))
	a.has[name] = true
	a.entry(name, 0o040755, 0, 0, nil)
}

func (a *archive) file(name string, mode fs.FileMode, data []byte) {
	a.dir(filepath.Dir(name))
	a.entry(name, 0o100000|int(mode.Perm()), 0, 0, data)
}

func (a *archive) device(name string, major, minor int) {
	a.dir(filepath.Dir(name))
	a.entry(name, 0o020600, major, minor, nil)
}

// copy appends a file of the host with the same permission to execute.
func (a *archive) copy(name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	a.file(name, info.Mode(), data)
	return nil
}

func (a *archive) close() error {
	a.entry("TRAILER!!!", 0, 0, 0, nil)
	if err := a.w.Close(); a.err == nil {
		a.err = err
	}
	if err := a.f.Close(); a.err == nil {
		a.err = err
	}
	return a.err
}
