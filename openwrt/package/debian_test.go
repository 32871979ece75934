// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"archive/tar"
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// readDeb unpacks a Debian package: an ar archive with the version of the format and two tar
// archives.
func readDeb(t *testing.T, data []byte) *readPack {
	t.Helper()
	parts := map[string][]byte{}
	rest, ok := bytes.CutPrefix(data, []byte("!<arch>\n"))
	if !ok {
		t.Fatal("not an ar archive")
	}
	for len(rest) > 60 {
		size, err := strconv.Atoi(strings.TrimSpace(string(rest[48:58])))
		if err != nil {
			t.Fatal(err)
		}
		parts[strings.TrimRight(string(rest[:16]), " /")] = rest[60 : 60+size]
		rest = rest[60+(size+1)&^1:]
	}
	if got := string(parts["debian-binary"]); got != "2.0\n" {
		t.Fatalf("debian-binary is %q", got)
	}
	p := &readPack{fields: map[string]string{}, scripts: map[string]string{}, files: map[string]readFile{}, dirs: map[string]fs.FileMode{}}
	eachEntry(t, gunzip(t, parts["control.tar.gz"]), func(h *tar.Header, data []byte) {
		switch name := strings.TrimPrefix(h.Name, "./"); name {
		case "control":
			p.fields = controlFields(string(data))
		case "conffiles":
			p.conf = strings.Fields(string(data))
		default:
			p.scripts[name] = string(data)
		}
	})
	z, err := xz.NewReader(bytes.NewReader(parts["data.tar.xz"]))
	if err != nil {
		t.Fatal(err)
	}
	archive, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	p.readData(t, archive)
	return p
}

var debianLayout = map[string]fs.FileMode{
	"/etc/config/p2pwall":                        0o644,
	"/usr/share/doc/p2pwall/configuration.md.gz": 0o644,
	"/usr/lib/systemd/system/p2pwall.service":    0o644,
	"/usr/lib/sysusers.d/p2pwall.conf":           0o644,
	"/usr/libexec/p2pwall-service":               0o755,
	"/usr/sbin/p2pwall":                          0o755,
	"/usr/share/doc/p2pwall/changelog.Debian.gz": 0o644,
	"/usr/share/doc/p2pwall/copyright":           0o644,
	"/usr/share/man/man8/p2pwall.8.gz":           0o644,
}

func buildDeb(t *testing.T, target target) []byte {
	t.Helper()
	r := testRelease(t)
	binary, _, err := r.compile(target)
	if err != nil {
		t.Fatal(err)
	}
	data, err := r.deb(target.arch, binary)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDebianPackages(t *testing.T) {
	r := testRelease(t)
	for _, target := range debianTargets {
		t.Run(target.arch, func(t *testing.T) {
			data := buildDeb(t, target)
			if target.arch == "amd64" && !bytes.Equal(data, buildDeb(t, target)) {
				t.Error("not the same when built again")
			}
			p := readDeb(t, data)
			for field, want := range map[string]string{
				"Package": "p2pwall", "Version": r.version + "-1", "Architecture": target.arch, "Section": "net",
				"Depends": "nftables | iptables, systemd, procps, kmod", "Maintainer": maintainer,
			} {
				if got := p.fields[field]; got != want {
					t.Errorf("%s is %q, want %q", field, got, want)
				}
			}
			if want := []string{configPath}; !slices.Equal(p.conf, want) {
				t.Errorf("the configuration files are %q, want %q", p.conf, want)
			}
			checkLayout(t, p, debianLayout, "0:0")
			checkBinary(t, p.files[daemonPath].data, target)
			var sums string
			for _, name := range slices.Sorted(maps.Keys(p.files)) {
				if name != configPath {
					sums += fmt.Sprintf("%x  %s\n", md5.Sum(p.files[name].data), name[1:])
				}
			}
			for _, line := range strings.Split(strings.TrimSpace(sums), "\n") {
				if !strings.Contains(p.scripts["md5sums"], line) {
					t.Errorf("md5sums does not have %q", line)
				}
			}
			for _, script := range []string{"postinst", "prerm", "postrm"} {
				if !strings.HasPrefix(p.scripts[script], "#!/bin/sh\n") {
					t.Errorf("%s is %q", script, p.scripts[script])
				}
			}
		})
	}
}

// TestUnit checks the unit as installed, in an overlay on this system.
func TestUnit(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to lay the package over the system")
	}
	for _, tool := range []string{"systemd-analyze", "unshare", "man"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	upper := t.TempDir()
	for name, f := range readDeb(t, buildDeb(t, debianTargets[0])).files {
		to := filepath.Join(upper, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, f.data, f.mode); err != nil {
			t.Fatal(err)
		}
	}
	script := `
mount -t tmpfs none "$1" && mkdir "$1/root" "$1/scratch" && cp -r "$2" "$1/package" || exit 99
mount -t overlay -o "lowerdir=/,upperdir=$1/package,workdir=$1/scratch" none "$1/root" || exit 98
mount --bind /dev "$1/root/dev" && mount --bind /proc "$1/root/proc" || exit 97
cd "$1/root" && shift 2 && exec chroot . "$@"`
	dir := t.TempDir()
	analyze := func(args ...string) (string, error) {
		args = append([]string{"-m", "sh", "-c", script, "sh", dir, upper, "systemd-analyze"}, args...)
		out, err := exec.Command("unshare", args...).CombinedOutput()
		return string(out), err
	}

	if out, err := analyze("verify", "p2pwall.service"); err != nil || out != "" {
		t.Errorf("verify: %v\n%s", err, out)
	}
	out, err := analyze("security", "--offline=true", "p2pwall.service")
	if err != nil {
		t.Fatalf("security: %v\n%s", err, out)
	}
	m := regexp.MustCompile(`Overall exposure level for p2pwall.service: ([0-9.]+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("security does not give a level:\n%s", out)
	}
	if level, err := strconv.ParseFloat(m[1], 64); err != nil || level > 2.5 {
		t.Errorf("the exposure level is %s, more than 2.5\n%s", m[1], out)
	}
}

// TestUnitOptions checks options of the unit that the daemon depends on.
func TestUnitOptions(t *testing.T) {
	text, err := os.ReadFile("../debian/p2pwall.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Type=notify", "KillMode=mixed", "WatchdogSec=30", "ExecReload=+/usr/libexec/p2pwall-service reload", "NoNewPrivileges=yes", "ProtectSystem=strict",
		"CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW", "AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW",
		"User=p2pwall", "RuntimeDirectory=p2pwall", "RuntimeDirectoryPreserve=restart",
		"ExecStart=/usr/sbin/p2pwall run -c /run/p2pwall/config --log journal",
	} {
		if !strings.Contains(string(text), "\n"+want+"\n") {
			t.Errorf("the unit does not have %s", want)
		}
	}
}
