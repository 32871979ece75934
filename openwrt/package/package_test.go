// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Size limits for a router's flash, in bytes. The routers with little flash have MIPS
// processors.
const (
	maxIPK      = 1_300_000
	maxSquashfs = 880 << 10
	maxLuCI     = 40_000

	// Limits with the lines of the source, for a version of Go that openwrt/lean does not
	// know.
	maxIPKLines      = 1_500_000
	maxSquashfsLines = 970 << 10
)

func testRelease(t *testing.T) *release {
	t.Helper()
	r, err := openRelease("")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var builds struct {
	sync.Once
	dir string
	err error
}

// built builds OpenWrt's packages once for all tests and returns their directory.
func built(t *testing.T) string {
	t.Helper()
	builds.Do(func() {
		r, err := openRelease("")
		if err == nil {
			builds.dir, err = os.MkdirTemp("", "p2pwall-dist-")
		}
		if err == nil {
			err = buildOpenWrt(r, builds.dir, "")
		}
		builds.err = err
	})
	if builds.err != nil {
		t.Fatal(builds.err)
	}
	return builds.dir
}

func TestMain(m *testing.M) {
	code := m.Run()
	if builds.dir != "" {
		os.RemoveAll(builds.dir)
	}
	os.Exit(code)
}

func readBuilt(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(built(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// daemonLayout has every file of the daemon's package with its mode.
var daemonLayout = map[string]fs.FileMode{
	"/etc/capabilities/p2pwall.json":   0o644,
	"/etc/config/p2pwall":              0o600,
	"/etc/hotplug.d/p2pwall/00-readme": 0o644,
	"/etc/init.d/p2pwall":              0o755,
	"/etc/uci-defaults/90-p2pwall":     0o755,
	"/lib/upgrade/keep.d/p2pwall":      0o644,
	"/usr/libexec/p2pwall-event":       0o755,
	"/usr/libexec/rpcd/p2pwall":        0o755,
	"/usr/sbin/p2pwall":                0o755,
	"/usr/share/acl.d/p2pwall.json":    0o644,

	"/usr/share/nftables.d/ruleset-post/p2pwall.nft": 0o644,
	"/usr/lib/lua/prometheus-collectors/p2pwall.lua": 0o644,
	"/usr/share/collectd-mod-lua/p2pwall.lua":        0o644,
}

func TestPackages(t *testing.T) {
	r := testRelease(t)
	for _, target := range openWrtTargets {
		for _, f := range flavours {
			name := fmt.Sprintf("%s_%s_%s.ipk", f.name, r.packageVersion(), target.arch)
			t.Run(name, func(t *testing.T) {
				data := readBuilt(t, name)
				if most := goal(t, maxIPK, maxIPKLines); strings.HasPrefix(target.arch, "mips") && len(data) > most {
					t.Errorf("%d bytes, more than %d", len(data), most)
				}
				p := readIPK(t, data)
				checkDaemon(t, r, p, f, target)
				for field, want := range map[string]string{
					"Require-User": daemonUser, "Section": "net", "Conflicts": strings.Join(f.conflicts, ", "),
					"SourceDateEpoch": strconv.FormatInt(r.time.Unix(), 10),
				} {
					if got := p.fields[field]; got != want {
						t.Errorf("%s is %q, want %q", field, got, want)
					}
				}
				checkLayout(t, p, daemonLayout, "0:0")
				want := map[string]string{"postinst": ipkPostinst, "prerm": ipkPrerm, "postrm": "#!/bin/sh\n" + daemonPostrm}
				if !maps.Equal(p.scripts, want) {
					t.Errorf("the scripts are %q", p.scripts)
				}
			})
		}
		name := fmt.Sprintf("p2pwall-%s_%s.apk", r.packageVersion(), target.arch)
		t.Run(name, func(t *testing.T) {
			p := readAPK(t, readBuilt(t, name))
			checkDaemon(t, r, p, flavours[0], target)
			layout := maps.Clone(daemonLayout)
			for _, list := range []string{"list", "rusers", "conffiles", "conffiles_static"} {
				layout["/lib/apk/packages/p2pwall."+list] = 0o644
			}
			checkLayout(t, p, layout, "root:root")
			for script, want := range map[string]string{
				"post-install": "add_group_and_user\ndefault_postinst\n", "post-upgrade": "export PKG_UPGRADE=1\n",
				"pre-deinstall": "default_prerm\n", "post-deinstall": daemonPostrm,
			} {
				if got := p.scripts[script]; !strings.HasPrefix(got, "#!/bin/sh\n") || !strings.Contains(got, want) {
					t.Errorf("%s is %q, want %q in it", script, got, want)
				}
			}
			checkLists(t, p)
		})
	}
}

func checkDaemon(t *testing.T, r *release, p *readPack, f flavour, target target) {
	t.Helper()
	depends := slices.Clone(f.depends)
	if _, ok := p.files["/lib/apk/packages/p2pwall.list"]; ok {
		slices.Sort(depends)
	}
	for field, want := range map[string]string{
		"Package": f.name, "Version": r.packageVersion(), "Architecture": target.arch, "License": "GPL-2.0-or-later",
		"Maintainer": maintainer, "URL": homepage,
		"Depends": strings.Join(depends, ", "), "Provides": strings.Join(f.provides, ", "),
	} {
		if got := p.fields[field]; got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	if want := []string{"/etc/config/p2pwall"}; !slices.Equal(p.conf, want) {
		t.Errorf("the configuration files are %q, want %q", p.conf, want)
	}
	checkBinary(t, p.files["/usr/sbin/p2pwall"].data, target)
}

func checkLayout(t *testing.T, p *readPack, want map[string]fs.FileMode, owner string) {
	t.Helper()
	got := map[string]fs.FileMode{}
	for name, f := range p.files {
		got[name] = f.mode
		if f.owner != owner {
			t.Errorf("%s belongs to %s", name, f.owner)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("the files are\n%v\nwant\n%v", got, want)
	}
	for name, mode := range p.dirs {
		if mode != 0o755 {
			t.Errorf("%s has mode %o", name, mode)
		}
	}
}

// checkLists compares the lists for OpenWrt's scripts with the package's content.
func checkLists(t *testing.T, p *readPack) {
	t.Helper()
	list := func(name string) string { return string(p.files["/lib/apk/packages/p2pwall."+name].data) }
	var want []string
	for name := range p.files {
		if !strings.HasPrefix(name, "/lib/apk/packages/") || strings.HasSuffix(name, ".rusers") {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	if got := strings.Fields(list("list")); !slices.Equal(got, want) {
		t.Errorf("the list of files is %q, want %q", got, want)
	}
	if got := list("rusers"); got != daemonUser+"\n" {
		t.Errorf("the users are %q", got)
	}
	sum := sha256.Sum256(p.files[configPath].data)
	if got, want := list("conffiles_static"), fmt.Sprintf("%s %x\n", configPath, sum); got != want {
		t.Errorf("conffiles_static is %q, want %q", got, want)
	}
}

// elfTargets has the properties of an executable for each architecture.
var elfTargets = map[string]struct {
	machine elf.Machine
	class   elf.Class
	order   elf.Data
}{
	"mips_24kc":                {elf.EM_MIPS, elf.ELFCLASS32, elf.ELFDATA2MSB},
	"mipsel_24kc":              {elf.EM_MIPS, elf.ELFCLASS32, elf.ELFDATA2LSB},
	"arm_cortex-a7_neon-vfpv4": {elf.EM_ARM, elf.ELFCLASS32, elf.ELFDATA2LSB},
	"arm_cortex-a9":            {elf.EM_ARM, elf.ELFCLASS32, elf.ELFDATA2LSB},
	"aarch64_cortex-a53":       {elf.EM_AARCH64, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"x86_64":                   {elf.EM_X86_64, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"i386_pentium4":            {elf.EM_386, elf.ELFCLASS32, elf.ELFDATA2LSB},
	"amd64":                    {elf.EM_X86_64, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"arm64":                    {elf.EM_AARCH64, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"armhf":                    {elf.EM_ARM, elf.ELFCLASS32, elf.ELFDATA2LSB},
}

// goSettings finds the compiler's settings, which the compiler writes into the executable.
var goSettings = regexp.MustCompile(`build\t(GO[A-Z0-9]+)=([a-z0-9,]+)\n`)

func checkBinary(t *testing.T, data []byte, target target) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	want := elfTargets[target.arch]
	if f.Machine != want.machine || f.Class != want.class || f.Data != want.order || f.Type != elf.ET_EXEC {
		t.Errorf("the executable is %v %v %v %v, want %v", f.Machine, f.Class, f.Data, f.Type, want)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Error("the executable is not static")
		}
	}
	if f.Section(".symtab") != nil || f.Section(".debug_info") != nil {
		t.Error("the executable is not stripped")
	}
	settings := map[string]string{}
	for _, m := range goSettings.FindAllSubmatch(data, -1) {
		settings[string(m[1])] = string(m[2])
	}
	for _, env := range target.env {
		name, value, _ := strings.Cut(env, "=")
		if settings[name] != value {
			t.Errorf("built with %s=%s, want %s", name, settings[name], value)
		}
	}
}

// goal returns one of two size limits: for a lean program, or for one with the lines of the
// source.
func goal(t *testing.T, lean, lines int) int {
	if bytes.Contains(readBuilt(t, "SIZES"), []byte(" keeps the lines of its source")) {
		return lines
	}
	return lean
}

func TestSquashfs(t *testing.T) {
	if _, err := exec.LookPath("mksquashfs"); err != nil {
		t.Skip("needs mksquashfs (squashfs-tools)")
	}
	lines := regexp.MustCompile(`(?m)^(mips\w*) +\d+ +\S+ +(\d+)$`).FindAllSubmatch(readBuilt(t, "SIZES"), -1)
	if len(lines) != 2 {
		t.Fatalf("SIZES does not have both MIPS:\n%s", readBuilt(t, "SIZES"))
	}
	for _, line := range lines {
		size, err := strconv.Atoi(string(line[2]))
		if err != nil {
			t.Fatal(err)
		}
		if most := goal(t, maxSquashfs, maxSquashfsLines); size > most {
			t.Errorf("%s: %d bytes in squashfs-xz, more than %d: see what grew with go tool nm -size -sort size", line[1], size, most)
		}
	}
}

func TestSums(t *testing.T) {
	dir := built(t)
	names := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(string(readBuilt(t, "SHA256SUMS"))), "\n") {
		sum, name, _ := strings.Cut(line, "  ")
		names[name] = true
		if got := fmt.Sprintf("%x", sha256.Sum256(readBuilt(t, name))); got != sum {
			t.Errorf("%s has another checksum", name)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !names[e.Name()] && e.Name() != "SHA256SUMS" && e.Name() != "SIZES" {
			t.Errorf("%s has no checksum", e.Name())
		}
	}
}

// The second build uses other directories and another working directory.
func TestReproducible(t *testing.T) {
	first := built(t)
	second := t.TempDir()
	r := testRelease(t)
	t.Chdir(t.TempDir())
	if err := buildOpenWrt(r, second, ""); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(first)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "SIZES" { // from a file system that contains times
			continue
		}
		a, errA := os.ReadFile(filepath.Join(first, e.Name()))
		b, errB := os.ReadFile(filepath.Join(second, e.Name()))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s is not the same when built again (%v, %v)", e.Name(), errA, errB)
		}
	}
}

func TestLuCI(t *testing.T) {
	r := testRelease(t)
	packs, err := r.luciPacks()
	if err != nil {
		t.Fatal(err)
	}
	if packs == nil {
		t.Skip("there is no LuCI app in this tree")
	}
	for _, p := range packs {
		ipk := readBuilt(t, fmt.Sprintf("%s_%s_all.ipk", p.name, r.packageVersion()))
		apk := readBuilt(t, fmt.Sprintf("%s-%s_all.apk", p.name, r.packageVersion()))
		if len(ipk) > maxLuCI || len(apk) > maxLuCI {
			t.Errorf("%s has %d and %d bytes, more than %d", p.name, len(ipk), len(apk), maxLuCI)
		}
		a, b := readIPK(t, ipk), readAPK(t, apk)
		if a.fields["Architecture"] != "all" || b.fields["Architecture"] != "noarch" {
			t.Errorf("%s is for %s and %s", p.name, a.fields["Architecture"], b.fields["Architecture"])
		}
		for name, f := range a.files {
			if g := b.files[name]; !bytes.Equal(f.data, g.data) || f.mode != g.mode {
				t.Errorf("%s: %s is not the same in both formats", p.name, name)
			}
		}
	}
}
