// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path"
	"time"

	"github.com/goreleaser/nfpm/v2/deb"
)

// buildDebian writes the Debian packages, and SHA256SUMS.debian.
func buildDebian(r *release, dir, only string) error {
	targets, err := choose(debianTargets, only)
	if err != nil {
		return err
	}
	out, err := newOutput(dir)
	if err != nil {
		return err
	}
	if err := r.writeDebian(out, "", targets...); err != nil {
		return err
	}
	return out.finish("SHA256SUMS.debian")
}

// writeDebian writes the packages for some architectures into a directory of the output.
func (r *release) writeDebian(out *output, folder string, targets ...target) error {
	for _, t := range targets {
		binary, _, err := r.compile(t)
		if err != nil {
			return err
		}
		data, err := r.deb(t.arch, binary)
		if err != nil {
			return fmt.Errorf("p2pwall for %s as deb: %w", t.arch, err)
		}
		name := fmt.Sprintf("p2pwall_%s-%s_%s.deb", r.version, packageRelease, t.arch)
		if err := out.write(path.Join(folder, name), data); err != nil {
			return err
		}
		fmt.Printf("%-52s %9d\n", name, len(data))
	}
	return nil
}

// debianFiles are the files below openwrt/debian, with their installed paths.
var debianFiles = []struct {
	name, path string
	gzip       bool
}{
	{"p2pwall.service", "/usr/lib/systemd/system/p2pwall.service", false},
	{"p2pwall.sysusers", "/usr/lib/sysusers.d/p2pwall.conf", false},
	{"p2pwall-service", "/usr/libexec/p2pwall-service", false},
	{"p2pwall.8", "/usr/share/man/man8/p2pwall.8.gz", true},
	{"copyright", "/usr/share/doc/p2pwall/copyright", false},
}

func (r *release) deb(arch string, binary []byte) ([]byte, error) {
	p := &pack{
		name: "p2pwall", arch: arch, section: "net", title: daemonTitle, description: daemonText,
		// The gateway's firewall decides which of the two loads the rules.
		depends: []string{"nftables | iptables", "systemd", "procps", "kmod"},
	}
	var err error
	if p.files, err = r.debFiles(binary); err != nil {
		return nil, err
	}
	s, err := newStage()
	if err != nil {
		return nil, err
	}
	defer s.remove()
	info, err := s.describe(r, p)
	if err != nil {
		return nil, err
	}
	info.Release = packageRelease
	info.Deb.Compression = "xz"
	var errs [3]error
	for i, to := range []struct {
		name string
		path *string
	}{
		{"postinst", &info.Scripts.PostInstall},
		{"prerm", &info.Scripts.PreRemove},
		{"postrm", &info.Scripts.PostRemove},
	} {
		*to.path = r.path("openwrt/debian/" + to.name)
		_, errs[i] = os.Stat(*to.path)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	deb.Default.SetPackagerDefaults(info)
	var out bytes.Buffer
	if err := deb.Default.Package(info, &out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// debFiles are the files of the package.
func (r *release) debFiles(binary []byte) (files []file, err error) {
	for _, f := range debianFiles {
		name := r.path("openwrt/debian/" + f.name)
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		mode, err := fileMode(name)
		if err != nil {
			return nil, err
		}
		if f.gzip {
			data = gzipped(data)
		}
		files = append(files, file{path: f.path, mode: mode, data: data})
	}
	config, err := os.ReadFile(r.path("openwrt/debian/p2pwall.conf"))
	if err != nil {
		return nil, err
	}
	options, err := os.ReadFile(r.path("docs/configuration.md"))
	if err != nil {
		return nil, err
	}
	files = append(files,
		file{path: "/usr/share/doc/p2pwall/changelog.Debian.gz", mode: 0o644, data: gzipped(r.debianChangelog())},
		file{path: configPath, mode: 0o644, conf: true, data: config},
		file{path: "/usr/share/doc/p2pwall/configuration.md.gz", mode: 0o644, data: gzipped(options)},
		file{path: daemonPath, mode: 0o755, data: binary})
	sortFiles(files)
	return files, nil
}

// debianChangelog is the changelog of the packaging. It only says where the changelog of the
// program is.
func (r *release) debianChangelog() []byte {
	return fmt.Appendf(nil, "p2pwall (%s-%s) unstable; urgency=medium\n\n  * For what is new see CHANGELOG in the sources.\n\n -- %s  %s\n",
		r.version, packageRelease, maintainer, r.time.UTC().Format(time.RFC1123Z))
}

// gzipped compresses data, without a name or a time in the header.
func gzipped(data []byte) []byte {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	// Writing to memory does not fail.
	_, _ = z.Write(data)
	_ = z.Close()
	return out.Bytes()
}
