// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// An output collects the packages written to a directory.
type output struct {
	dir  string
	sums []string
}

func newOutput(dir string) (*output, error) {
	return &output{dir: dir}, os.MkdirAll(dir, 0o755)
}

func (o *output) write(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(filepath.Join(o.dir, name)), 0o755); err != nil {
		return err
	}
	o.sums = append(o.sums, fmt.Sprintf("%x  %s\n", sha256.Sum256(data), name))
	return os.WriteFile(filepath.Join(o.dir, name), data, 0o644)
}

// finish writes a file of checksums with the given name, in the form that `sha256sum -c`
// reads.
func (o *output) finish(name string) error {
	slices.SortFunc(o.sums, func(a, b string) int {
		return strings.Compare(a[sha256.Size*2:], b[sha256.Size*2:])
	})
	return os.WriteFile(filepath.Join(o.dir, name), []byte(strings.Join(o.sums, "")), 0o644)
}

// buildOpenWrt writes the packages for OpenWrt, SHA256SUMS and SIZES.
func buildOpenWrt(r *release, dir, only string) error {
	targets, err := choose(openWrtTargets, only)
	if err != nil {
		return err
	}
	out, err := newOutput(dir)
	if err != nil {
		return err
	}
	var sizes sizeTable
	for _, t := range targets {
		binary, note, err := r.compile(t)
		if err != nil {
			return err
		}
		if err := sizes.measure(t.arch, binary, note); err != nil {
			return err
		}
		for _, f := range flavours {
			p, err := r.daemonPack(f, t.arch, binary)
			if err != nil {
				return err
			}
			if err := out.openWrt(r, p, f.apk, &sizes); err != nil {
				return err
			}
		}
	}
	packs, err := r.luciPacks()
	if err != nil {
		return err
	}
	for _, p := range packs {
		if err := out.openWrt(r, p, true, &sizes); err != nil {
			return err
		}
	}
	if err := out.finish("SHA256SUMS"); err != nil {
		return err
	}
	fmt.Print(sizes.String())
	return os.WriteFile(filepath.Join(dir, "SIZES"), []byte(sizes.String()), 0o644)
}

// openWrt writes one package as ipk. It also writes an apk if the OpenWrt releases with apk
// have the package.
func (o *output) openWrt(r *release, p *pack, apk bool, sizes *sizeTable) error {
	data, err := r.ipk(p)
	if err != nil {
		return fmt.Errorf("%s for %s as ipk: %w", p.name, p.arch, err)
	}
	name := fmt.Sprintf("%s_%s_%s.ipk", p.name, r.packageVersion(), p.arch)
	if err := o.write(name, data); err != nil {
		return err
	}
	sizes.pack(name, len(data))
	if !apk {
		return nil
	}
	a, err := r.apk(p)
	if err != nil {
		return fmt.Errorf("%s for %s as apk: %w", p.name, p.arch, err)
	}
	name = fmt.Sprintf("%s-%s_%s.apk", p.name, r.packageVersion(), p.arch)
	sizes.pack(name, len(a.data))
	return o.write(name, a.data)
}
