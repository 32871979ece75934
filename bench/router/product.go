// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// product puts the package and the compiled end-to-end tests into the image. The package
// has two flavours that differ only in their dependencies; product takes the one for
// nftables.
func (b *bed) product(m *machine, root string, img *image) error {
	found, err := filepath.Glob(filepath.Join(b.dist, "p2pwall_*"+m.Package+".ipk"))
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("%d packages match p2pwall_*%s.ipk in %s, one is wanted: run make packages", len(found), m.Package, b.dist)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		return err
	}
	img.pkg = filepath.Base(found[0])
	if err := os.WriteFile(filepath.Join(root, "p2pwall.ipk"), data, 0o644); err != nil {
		return err
	}
	if err := b.weigh(data, img); err != nil {
		return fmt.Errorf("%s: %w", img.pkg, err)
	}
	return b.goProgram(m, root, "bin/e2e.test", "test", "-c", "./bench/e2e")
}

// weigh measures how much flash a package takes: the size of its files in a squashfs with
// xz, as in an OpenWrt image.
func (b *bed) weigh(ipk []byte, img *image) error {
	inner, err := member(ipk, "data.tar.gz")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "p2pw-flash-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	archive := filepath.Join(dir, "data.tar.gz")
	if err := os.WriteFile(archive, inner, 0o644); err != nil {
		return err
	}
	files, squashed := filepath.Join(dir, "files"), filepath.Join(dir, "squashfs")
	if err := os.Mkdir(files, 0o755); err != nil {
		return err
	}
	if err := b.command("", nil, "tar", "-xzf", archive, "-C", files); err != nil {
		return err
	}
	if err := b.command("", nil, "mksquashfs", files, squashed, "-all-root", "-comp", "xz", "-b", "262144", "-quiet", "-no-progress"); err != nil {
		return err
	}
	for path, to := range map[string]*int64{squashed: &img.flash, filepath.Join(files, "usr/sbin/p2pwall"): &img.binary} {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		*to = info.Size()
	}
	return nil
}

// member returns a file of a gzip-compressed tar archive.
func member(data []byte, name string) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("no %s in it", name)
		}
		if err != nil {
			return nil, err
		}
		if filepath.Base(h.Name) == name {
			return io.ReadAll(t)
		}
	}
}
