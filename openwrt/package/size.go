// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A sizeTable has the daemon's sizes on a router's flash, and the sizes of the packages.
type sizeTable struct {
	binaries []binarySize
	packages []string
}

// binarySize has the sizes of an executable in bytes: unpacked, compressed by xz, and in the
// file system of a router's image. A size is zero if its tool is missing.
type binarySize struct {
	arch                string
	raw, xz, squashfsXZ int
	keepsLines          string // why lean left the program unchanged, or ""
}

func (t *sizeTable) measure(arch string, binary []byte, keepsLines string) error {
	dir, err := os.MkdirTemp("", "p2pwall-size-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "p2pwall")
	if err := os.WriteFile(name, binary, 0o755); err != nil {
		return err
	}
	size := binarySize{arch: arch, raw: len(binary), keepsLines: keepsLines}
	if size.xz, err = compressed("xz", name+".xz", "-9", "-k", name); err != nil {
		return err
	}
	// Compression and block size of OpenWrt images.
	if size.squashfsXZ, err = compressed("mksquashfs", name+".sqfs", name, name+".sqfs",
		"-noappend", "-root-owned", "-nopad", "-comp", "xz", "-b", "256k", "-processors", "1"); err != nil {
		return err
	}
	t.binaries = append(t.binaries, size)
	return nil
}

// compressed runs a tool and returns the size of the file that it made. It returns zero if
// the tool is missing.
func compressed(tool, made string, args ...string) (int, error) {
	if _, err := exec.LookPath(tool); err != nil {
		return 0, nil
	}
	if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", tool, err, out)
	}
	info, err := os.Stat(made)
	if err != nil {
		return 0, err
	}
	return int(info.Size()), nil
}

func (t *sizeTable) pack(name string, size int) {
	t.packages = append(t.packages, fmt.Sprintf("%-52s %9d\n", name, size))
}

func (t *sizeTable) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-26s %9s %9s %12s\n", "executable", "raw", "xz -9", "squashfs-xz")
	for _, s := range t.binaries {
		fmt.Fprintf(&b, "%-26s %9s %9s %12s\n", s.arch, bytesText(s.raw), bytesText(s.xz), bytesText(s.squashfsXZ))
	}
	for _, s := range t.binaries {
		if s.keepsLines != "" {
			fmt.Fprintf(&b, "%s keeps the lines of its source, 0.13 MB of flash: %s\n", s.arch, s.keepsLines)
		}
	}
	fmt.Fprintf(&b, "\n%-52s %9s\n", "package", "bytes")
	for _, line := range t.packages {
		b.WriteString(line)
	}
	return b.String()
}

func bytesText(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
