// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// sameProgram names more OpenWrt architectures (DISTRIB_ARCH) whose routers can run the
// program of a target. Each has its own feed, because a package manager only takes packages
// with its own architecture's name.
var sameProgram = map[string][]string{
	"mips_24kc":                {"mips_mips32"},
	"mipsel_24kc":              {"mipsel_24kc_24kf", "mipsel_74kc", "mipsel_mips32"},
	"arm_cortex-a7_neon-vfpv4": {"arm_cortex-a15_neon-vfpv4", "arm_cortex-a5_vfpv4", "arm_cortex-a7_vfpv4", "arm_cortex-a8_vfpv3", "arm_cortex-a9_neon", "arm_cortex-a9_vfpv3-d16"},
	"arm_cortex-a9":            {"arm_arm1176jzf-s_vfp", "arm_arm926ej-s", "arm_cortex-a7", "arm_xscale"},
	"aarch64_cortex-a53":       {"aarch64_cortex-a72", "aarch64_cortex-a76", "aarch64_generic"},
}

var releaseNumber = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*$`)

// makeRelease writes a whole release to a directory: a feed for every architecture, Debian's
// packages, the source, the feed recipe with the source's hash, the changes of this version,
// and signed checksums.
//
// If only is set, it writes only the feeds of these architectures. They are separated by
// commas.
func makeRelease(r *release, version, dir, keyDir, only string) error {
	targets, err := choose(openWrtTargets, only)
	if err != nil {
		return err
	}
	r.version = version
	if err := r.mayRelease(); err != nil {
		return err
	}
	k, err := openKeys(keyDir, r.root)
	if err != nil {
		return err
	}
	// Files of an earlier try would become part of the release.
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	o, err := newOutput(dir)
	if err != nil {
		return err
	}
	if err := r.writeFeeds(o, k, targets); err != nil {
		return err
	}
	if only == "" {
		if err := r.writeDebian(o, "debian", debianTargets...); err != nil {
			return err
		}
	}
	hash, err := r.writeSource(o)
	if err != nil {
		return err
	}
	if err := r.writeRecipe(o, hash); err != nil {
		return err
	}
	changes, err := r.changes()
	if err != nil {
		return err
	}
	pem, err := apkPublicKey(k.apk)
	if err != nil {
		return err
	}
	if err := errors.Join(o.write("CHANGES.md", changes), o.write(opkgPublic, k.opkg.public()), o.write(apkPublic, pem),
		o.finish("SHA256SUMS")); err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		return err
	}
	fmt.Printf("%s has the release. Offer it by a web server; README.md says how a router takes it.\n", dir)
	return os.WriteFile(filepath.Join(dir, "SHA256SUMS.sig"), k.opkg.sign(sums), 0o644)
}

// mayRelease returns an error unless the checkout is the release's commit, unchanged.
func (r *release) mayRelease() error {
	if !releaseNumber.MatchString(r.version) {
		return fmt.Errorf("%q is no version: write it as 1.2.3", r.version)
	}
	if tag := "v" + r.version; r.git("describe", "--exact-match", "--tags", "--match="+tag) != tag {
		return fmt.Errorf("this commit does not have the tag %s: check it out, or set it with git tag -a %s", tag, tag)
	}
	if strings.HasSuffix(r.commit, "-dirty") {
		return errors.New("files of the checkout are changed: commit them, or put them away with git stash")
	}
	return nil
}

func (r *release) writeFeeds(o *output, k *keys, targets []target) error {
	luci, err := r.luciPacks()
	if err != nil {
		return err
	}
	for _, t := range targets {
		exe, note, err := r.compile(t)
		if err != nil {
			return err
		}
		if note != "" {
			fmt.Fprintf(os.Stderr, "package: the program for %s keeps the lines of its source: %s\n", t.arch, note)
		}
		for _, arch := range append([]string{t.arch}, sameProgram[t.arch]...) {
			feed := newFeed(arch)
			for _, flavour := range flavours {
				p, err := r.daemonPack(flavour, arch, exe)
				if err != nil {
					return err
				}
				if err := feed.add(o, r, p, flavour.apk); err != nil {
					return err
				}
			}
			for _, p := range luci {
				if err := feed.add(o, r, p, true); err != nil {
					return err
				}
			}
			if err := feed.finish(o, k); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeSource writes the source archive that a feed builds from, and returns its hash.
func (r *release) writeSource(o *output) (string, error) {
	name := "p2pwall-" + r.version
	cmd := exec.Command("git", "-C", r.root, "archive", "--format=tar", "--prefix="+name+"/", "HEAD")
	archive, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git archive: %w", err)
	}
	archive = gzipped(archive)
	return fmt.Sprintf("%x", sha256.Sum256(archive)), o.write(name+".tar.gz", archive)
}

// writeRecipe writes the files to submit to a feed: the recipe with the version, the commit
// and the hash of the source filled in, and the scripts of the feed's CI.
func (r *release) writeRecipe(o *output, hash string) error {
	text, err := os.ReadFile(r.path("openwrt/Makefile"))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{"PKG_VERSION": r.version, "PKG_COMMIT": r.commit, "PKG_HASH": hash} {
		line := regexp.MustCompile(`(?m)^` + name + `:=.*$`)
		if len(line.FindAll(text, -1)) != 1 {
			return fmt.Errorf("openwrt/Makefile does not set %s once", name)
		}
		text = line.ReplaceAll(text, []byte(name+":="+value))
	}
	if err := o.write("recipe/p2pwall/Makefile", text); err != nil {
		return err
	}
	for _, name := range []string{"test.sh", "test-version.sh"} {
		script, err := os.ReadFile(r.path("openwrt/" + name))
		if err != nil {
			return err
		}
		if err := o.write("recipe/p2pwall/"+name, script); err != nil {
			return err
		}
	}
	return nil
}

// changes returns the part of the changelog for this version. If no part has its number, it
// returns the newest part: its heading may still say "unreleased".
func (r *release) changes() ([]byte, error) {
	text, err := os.ReadFile(r.path("CHANGELOG.md"))
	if err != nil {
		return nil, err
	}
	parts := strings.Split(string(text), "\n## ")[1:]
	if len(parts) == 0 {
		return nil, errors.New("CHANGELOG.md has no heading \"## VERSION\"")
	}
	part := parts[0]
	for _, p := range parts {
		if strings.HasPrefix(p, r.version+",") || strings.HasPrefix(p, r.version+"\n") {
			part = p
		}
	}
	_, body, _ := strings.Cut(part, "\n")
	return fmt.Appendf(nil, "# P2Pwall %s, %s\n\n%s\n", r.version, r.time.UTC().Format("2006-01-02"), strings.TrimSpace(body)), nil
}
