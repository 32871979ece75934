// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// guest is laid out as in the machine. All its files are scripts or texts.
//
//go:embed all:guest
var guest embed.FS

//go:embed testdata
var testdata embed.FS

//go:embed early.sh
var earlyInit []byte

// image is what a machine boots from: a small first root, and a compressed root on a disk,
// like a router's flash. So programs have the memory to themselves.
type image struct {
	initrd, root string
	pkg          string // the package's file name, "" for none
	flash        int64  // the package's size on flash, squashfs with xz
	binary       int64  // the program's size
}

// image builds a machine's image from its tools, the kernel's modules, our scripts, and
// the package and tests to run. name is the beginning of its files' names.
func (b *bed) image(m *machine, name, kernel, tools string) (*image, error) {
	work, err := os.MkdirTemp("", "p2pw-image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	img := &image{
		initrd: filepath.Join(b.cache, name+".initrd"),
		root:   filepath.Join(b.cache, name+".squashfs"),
	}
	if err := b.first(m, kernel, tools, img.initrd); err != nil {
		return nil, err
	}
	root := filepath.Join(work, "root")
	for _, d := range []string{"bin", "dev", "proc", "sys", "tmp", "run", "root", "etc", "mnt"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.CopyFS(root, os.DirFS(tools)); err != nil {
		return nil, err
	}
	if m.Kernel != "" {
		if err := os.CopyFS(filepath.Join(root, "modules"), os.DirFS(filepath.Join(kernel, "modules"))); err != nil {
			return nil, err
		}
	}
	for _, tool := range m.Outside {
		if err := os.Symlink("/bin/guestctl", filepath.Join(root, "usr/sbin", tool)); err != nil {
			return nil, err
		}
	}
	if err := unpackEmbedded(root, "guest", guest, 0o755); err != nil {
		return nil, err
	}
	if err := unpackEmbedded(filepath.Join(root, "testdata"), "testdata", testdata, 0o644); err != nil {
		return nil, err
	}
	if err := b.goProgram(m, root, "bin/guestctl", "build", "./bench/router/guestctl"); err != nil {
		return nil, err
	}
	if err := b.command("", nil, m.CC+"gcc", "-O2", "-static", "-s", "-o", filepath.Join(root, "bin/nfqref"), "bench/creference/nfqref.c"); err != nil {
		return nil, err
	}
	if !b.bare {
		if err := b.product(m, root, img); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(root, "job"), []byte(b.job()), 0o644); err != nil {
		return nil, err
	}
	return img, b.command("", nil, "mksquashfs", root, img.root, "-noappend", "-all-root", "-comp", "gzip", "-quiet", "-no-progress")
}

// first writes the first root: busybox, the modules for the disk, and a script.
func (b *bed) first(m *machine, kernel, tools, path string) error {
	a, err := newArchive(path)
	if err != nil {
		return err
	}
	defer a.f.Close()
	a.device("dev/console", 5, 1)
	a.device("dev/null", 1, 3)
	if err := a.copy("bin/busybox", filepath.Join(tools, "bin/busybox")); err != nil {
		return err
	}
	a.file("init", 0o755, earlyInit)
	modules, err := filepath.Glob(filepath.Join(kernel, "early", "*"))
	if err != nil {
		return err
	}
	for _, f := range modules {
		if err := a.copy("early/"+filepath.Base(f), f); err != nil {
			return err
		}
	}
	return a.close()
}

// goProgram builds a Go program or test for a machine. args are the arguments of the go
// command, without the options that every build has.
func (b *bed) goProgram(m *machine, root, name string, args ...string) error {
	all := []string{args[0], "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(root, name)}
	return b.command("", append(m.Go, "CGO_ENABLED=0", "GOOS=linux"), "go", append(all, args[1:]...)...)
}

// job returns the settings of this run for the machine, as shell assignments.
func (b *bed) job() string {
	flag := map[bool]int{true: 1}
	quoted := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "") + "'" }
	return fmt.Sprintf("OFF=%d\nBARE=%d\nTESTS=%s\nSTAGES=%s\nFILTERS=%s\n", flag[b.off], flag[b.bare],
		quoted(b.tests), quoted(b.stages), quoted(b.filters))
}

// unpackEmbedded writes an embedded folder to disk.
func unpackEmbedded(to, from string, files fs.FS, mode fs.FileMode) error {
	return fs.WalkDir(files, from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		dest := filepath.Join(to, strings.TrimPrefix(path, from))
		if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
			return err
		}
		return os.WriteFile(dest, data, mode)
	})
}
