// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// toolPackages have the programs that the machine's scripts call.
var toolPackages = []string{"iproute2", "iptables", "ipset", "nftables"}

// programs are the files of toolPackages that go into the machine. The libraries that
// they need go with them.
var programs = map[string]string{
	"bin/ip":                        "sbin/ip",
	"usr/sbin/nft":                  "usr/sbin/nft",
	"usr/sbin/ipset":                "usr/sbin/ipset",
	"usr/sbin/xtables-nft-multi":    "usr/sbin/xtables-nft-multi",
	"usr/sbin/xtables-legacy-multi": "usr/sbin/xtables-legacy-multi",
}

func jobs() string { return fmt.Sprintf("-j%d", runtime.NumCPU()) }

// tools returns a folder with the machine's tools, laid out as in the machine.
func (b *bed) tools(m *machine) (string, error) {
	if m.Debian == "" {
		return b.builtTools(m)
	}
	key := digest(m.Arch, strings.Join(toolPackages, " "), "2")
	return b.once("tools-"+m.Arch+"-"+key, func(dir string) error {
		a, err := b.newApt(m.Suite, m.Debian, "deb")
		if err != nil {
			return err
		}
		root := filepath.Join(dir, "root")
		if err := a.unpack(root, toolPackages...); err != nil {
			return err
		}
		for from, to := range programs {
			if err := copyProgram(root, dir, from, to); err != nil {
				return err
			}
		}
		// nft reads /etc/protocols. Before glibc 2.34 the reader was in a library of its
		// own, which no program is linked to.
		if lib, err := findLibrary(root, "libnss_files.so.2"); err == nil {
			if err := copyProgram(root, dir, lib, lib); err != nil {
				return err
			}
		}
		extensions, err := filepath.Glob(filepath.Join(root, "usr/lib/*/xtables/*.so"))
		if err != nil {
			return err
		}
		for _, e := range extensions {
			rel, err := filepath.Rel(root, e)
			if err != nil {
				return err
			}
			if err := copyProgram(root, dir, rel, rel); err != nil {
				return err
			}
		}
		// The same for all of Debian's suites.
		busybox, err := b.once("busybox-"+m.Debian, func(dir string) error { return b.fromSource(m, dir, "busybox") })
		if err != nil {
			return err
		}
		if err := copyProgram(busybox, dir, "bin/busybox", "bin/busybox"); err != nil {
			return err
		}
		return os.RemoveAll(root)
	})
}

// copyProgram copies a program and, recursively, the libraries it is linked to.
func copyProgram(root, to, from, name string) error {
	dest := filepath.Join(to, name)
	if _, err := os.Stat(dest); err == nil {
		return nil
	}
	file, err := within(root, from)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(dest, data, 0o755); err != nil {
		return err
	}
	f, err := elf.Open(dest)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	defer f.Close()
	libs, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	if i := f.Section(".interp"); i != nil {
		path, err := i.Data()
		if err != nil {
			return err
		}
		libs = append(libs, strings.TrimRight(string(path), "\x00"))
	}
	for _, lib := range libs {
		file, err := findLibrary(root, lib)
		if err != nil {
			return fmt.Errorf("%s needs %w", from, err)
		}
		if err := copyProgram(root, to, file, file); err != nil {
			return err
		}
	}
	return nil
}

// within returns the path of a file in an unpacked system. The file may be below usr, and
// it may be a link to another file of that system.
func within(root, name string) (string, error) {
	for range 8 {
		file := filepath.Join(root, name)
		if _, err := os.Lstat(file); err != nil {
			file = filepath.Join(root, "usr", name)
		}
		to, err := os.Readlink(file)
		switch {
		case err != nil:
			_, err := os.Stat(file)
			return file, err
		case filepath.IsAbs(to):
			name = to
		default:
			if name, err = filepath.Rel(root, filepath.Join(filepath.Dir(file), to)); err != nil {
				return "", err
			}
		}
	}
	return "", fmt.Errorf("%s: too many links", name)
}

// findLibrary returns a library's path in an unpacked system. The dynamic loader has an
// absolute path; other libraries are in a folder of the architecture.
func findLibrary(root, name string) (string, error) {
	patterns := []string{"lib/*/" + name, "usr/lib/*/" + name, "usr/lib/" + name}
	if filepath.IsAbs(name) {
		_, err := within(root, name)
		return strings.TrimPrefix(name, "/"), err
	}
	for _, p := range patterns {
		found, err := filepath.Glob(filepath.Join(root, p))
		if err != nil {
			return "", err
		}
		if len(found) > 0 {
			return filepath.Rel(root, found[0])
		}
	}
	return "", fmt.Errorf("library %s, which no package brought", name)
}

// builtTools builds the tools for an architecture that Debian does not have.
func (b *bed) builtTools(m *machine) (string, error) {
	names := []string{"busybox", "iproute2", "iptables"}
	key := digest(m.Arch, strings.Join(names, " "), "1")
	return b.once("tools-"+m.Arch+"-"+key, func(dir string) error { return b.fromSource(m, dir, names...) })
}

// recipe says how to build a static program, and where its files go.
type recipe struct {
	env   []string
	steps [][]string
	files map[string]string
}

func (m *machine) recipe(name string) recipe {
	compiler := []string{"CC=" + m.CC + "gcc", "AR=" + m.CC + "ar"}
	switch name {
	case "busybox":
		// Debian's busybox prefers its applets to programs of the same name;
		// OpenWrt's does not.
		return recipe{
			env: []string{"CROSS_COMPILE=" + m.CC},
			steps: [][]string{
				{"make", "defconfig"},
				{"sed", "-i", "s/# CONFIG_STATIC is not set/CONFIG_STATIC=y/; s/CONFIG_TC=y/# CONFIG_TC is not set/", ".config"},
				{"make", jobs(), "busybox"},
			},
			files: map[string]string{"busybox": "bin/busybox"},
		}
	case "iproute2":
		return recipe{
			env: append(compiler, "PKG_CONFIG=false"),
			steps: [][]string{
				{"./configure"},
				append(append([]string{"make", jobs()}, compiler...), "HOSTCC=gcc", "SHARED_LIBS=n", "LDFLAGS=-static", "CCOPTS=-Os", "SUBDIRS=lib ip"),
			},
			files: map[string]string{"ip/ip": "sbin/ip"},
		}
	case "iptables":
		return recipe{
			steps: [][]string{
				{"./configure", "--host=" + strings.TrimSuffix(m.CC, "-"), "--disable-nftables", "--disable-shared", "--enable-static"},
				{"make", jobs(), "LDFLAGS=-all-static"},
			},
			files: map[string]string{"iptables/xtables-legacy-multi": "usr/sbin/xtables-legacy-multi"},
		}
	}
	panic("no recipe for " + name)
}

// fromSource builds programs from Debian's sources.
func (b *bed) fromSource(m *machine, dir string, names ...string) error {
	a, err := b.newApt("", "amd64", "deb-src")
	if err != nil {
		return err
	}
	source := filepath.Join(dir, "source")
	if err := os.MkdirAll(source, 0o755); err != nil {
		return err
	}
	for _, name := range names {
		tree, err := a.source(source, name)
		if err != nil {
			return err
		}
		r := m.recipe(name)
		for _, s := range r.steps {
			if err := b.command(tree, r.env, s[0], s[1:]...); err != nil {
				return err
			}
		}
		for from, to := range r.files {
			to = filepath.Join(dir, to)
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return err
			}
			if err := b.command(tree, nil, m.CC+"strip", "-o", to, from); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(source)
}

// outside prepares the tools that run on the host: Debian's tools for another big-endian
// architecture, and the library that carries their netlink traffic to the machine.
func (b *bed) outside() (string, error) {
	const cc = "s390x-linux-gnu-"
	packages := []string{"nftables", "ipset"}
	key := digest(slices.Concat(packages, []string{tunnelSource})...)
	return b.once("outside-"+key, func(dir string) error {
		a, err := b.newApt("", "s390x", "deb")
		if err != nil {
			return err
		}
		if err := a.unpack(dir, packages...); err != nil {
			return err
		}
		source := filepath.Join(dir, "tunnel.c")
		if err := os.WriteFile(source, []byte(tunnelSource), 0o644); err != nil {
			return err
		}
		return b.command(dir, nil, cc+"gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", "tunnel.so", source, "-ldl")
	})
}
