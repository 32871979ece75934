// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed kernel/mips-malta-be.config
var bigEndianConfig string

// linuxSource is the Debian package with the source of the big-endian kernel. It is
// installed on the host.
const linuxSource = "linux-source-6.1"

// modules are the modules of a Debian kernel that the scenarios need. depmod finds their
// dependencies.
var modules = strings.Fields(`
	crc32c_generic veth bridge dummy tun 8021q
	nfnetlink_queue nf_conntrack_netlink nf_tables
	nft_chain_nat nft_compat nft_ct nft_fib_inet nft_flow_offload nf_flow_table_inet
	nft_counter nft_hash nft_limit nft_log nft_masq nft_nat nft_numgen nft_queue nft_quota nft_redir
	nft_reject_inet nft_objref
	xt_nat xt_mark xt_connmark xt_set xt_CT xt_NFQUEUE xt_MASQUERADE xt_comment xt_connbytes
	xt_conntrack xt_length xt_mac xt_multiport xt_pkttype xt_state xt_statistic xt_tcpudp xt_DSCP xt_limit
	iptable_filter iptable_mangle iptable_raw iptable_nat ipt_REJECT
	ip6table_filter ip6table_mangle ip6table_raw ip6t_REJECT
	ip_set ip_set_hash_ip ip_set_hash_net ip_set_hash_netnet ip_set_hash_ipport`)

// early has the modules that the first root needs to reach the disk.
var early = strings.Fields("virtio_pci virtio_mmio virtio_blk squashfs overlay")

// optional has modules that do not exist in every kernel.
var optional = map[string]bool{"crc32c_generic": true, "nft_objref": true, "virtio_mmio": true, "nft_counter": true}

// kernel returns a folder with `vmlinuz` and, for a modular kernel, `early/` and
// `modules/`. Both have a file `order` with the modules in the order for insmod.
func (b *bed) kernel(m *machine) (string, error) {
	if m.Kernel == "" {
		return b.builtKernel(m)
	}
	key := digest(m.Arch, m.Suite, m.Kernel, strings.Join(early, " "), strings.Join(modules, " "))
	return b.once("kernel-"+m.Arch+"-"+key, func(dir string) error {
		a, err := b.newApt(m.Suite, m.Debian, "deb")
		if err != nil {
			return err
		}
		// The package of this name depends on the kernel, whose name has the version. From
		// Debian 14 on, that one depends on others with the parts.
		names, err := a.dependencies(m.Kernel, "linux-image-")
		if err != nil || len(names) != 1 {
			return fmt.Errorf("%s depends on %v: %w", m.Kernel, names, err)
		}
		version := strings.TrimPrefix(names[0], "linux-image-")
		parts, err := a.dependencies(names[0], "linux-base-", "linux-binary-", "linux-modules-")
		if err != nil {
			return err
		}
		root := filepath.Join(dir, "root")
		for _, p := range append(names, parts...) {
			if err := a.unpackAlone(root, p); err != nil {
				return err
			}
		}
		// From Debian 13 on, the modules are in usr/lib.
		if err := os.Symlink("usr/lib", filepath.Join(root, "lib")); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		for _, image := range []string{"boot/vmlinuz-" + version, "boot/vmlinux-" + version, "usr/lib/modules/" + version + "/vmlinuz"} {
			if os.Rename(filepath.Join(root, image), filepath.Join(dir, "vmlinuz")) == nil {
				break
			}
		}
		if err := b.command("", nil, "depmod", "-b", root, version); err != nil {
			return err
		}
		done := map[string]bool{}
		from := filepath.Join(root, "lib/modules", version)
		if err := pickModules(from, filepath.Join(dir, "early"), early, done); err != nil {
			return err
		}
		if err := pickModules(from, filepath.Join(dir, "modules"), modules, done); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "version"), []byte(version), 0o644); err != nil {
			return err
		}
		return os.RemoveAll(root)
	})
}

// pickModules copies the wanted modules and their dependencies, and writes the order of
// loading. It leaves out those in done.
func pickModules(from, to string, wanted []string, done map[string]bool) error {
	deps, err := os.ReadFile(filepath.Join(from, "modules.dep"))
	if err != nil {
		return err
	}
	builtin, err := os.ReadFile(filepath.Join(from, "modules.builtin"))
	if err != nil {
		return err
	}
	name := func(path string) string {
		base, _, _ := strings.Cut(filepath.Base(path), ".ko")
		return strings.ReplaceAll(base, "-", "_")
	}
	path, needs := map[string]string{}, map[string][]string{}
	for line := range strings.Lines(string(deps)) {
		file, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		path[name(file)], needs[name(file)] = file, strings.Fields(rest)
	}
	for line := range strings.Lines(string(builtin)) {
		path[name(strings.TrimSpace(line))] = ""
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	var order []string
	add := func(file string) error {
		if done[file] {
			return nil
		}
		done[file] = true
		data, err := os.ReadFile(filepath.Join(from, file))
		if strings.HasSuffix(file, ".xz") { // busybox loads no compressed modules
			data, err = exec.Command("xz", "-dc", filepath.Join(from, file)).Output()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		plain := strings.TrimSuffix(filepath.Base(file), ".xz")
		order = append(order, plain)
		return os.WriteFile(filepath.Join(to, plain), data, 0o644)
	}
	for _, m := range wanted {
		file, ok := path[strings.ReplaceAll(m, "-", "_")]
		if !ok && !optional[m] {
			return fmt.Errorf("the kernel has no module %s", m)
		}
		if file == "" {
			continue
		}
		// modules.dep lists direct and indirect dependencies, the deepest last.
		list := needs[name(file)]
		for i := len(list) - 1; i >= 0; i-- {
			if err := add(list[i]); err != nil {
				return err
			}
		}
		if err := add(file); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(to, "order"), []byte(strings.Join(order, "\n")+"\n"), 0o644)
}

// builtKernel builds the big-endian kernel.
func (b *bed) builtKernel(m *machine) (string, error) {
	source := filepath.Join("/usr/src", linuxSource+".tar.xz")
	key := digest(m.Arch, linuxSource, bigEndianConfig)
	return b.once("kernel-"+m.Arch+"-"+key, func(dir string) error {
		if err := b.install(m.Arch + "-kernel"); err != nil {
			return err
		}
		fragment := filepath.Join(dir, "config")
		if err := os.WriteFile(fragment, []byte(bigEndianConfig), 0o644); err != nil {
			return err
		}
		if err := b.command(dir, nil, "tar", "-xf", source); err != nil {
			return err
		}
		tree := filepath.Join(dir, linuxSource)
		env := []string{"ARCH=mips", "CROSS_COMPILE=" + m.CC}
		for _, step := range [][]string{
			{"make", "allnoconfig"},
			{"scripts/kconfig/merge_config.sh", "-n", fragment},
			{"nice", "make", jobs(), "vmlinux"},
			{m.CC + "strip", "-o", filepath.Join(dir, "vmlinuz"), "vmlinux"},
		} {
			if err := b.command(tree, env, step[0], step[1:]...); err != nil {
				return err
			}
		}
		if err := checkConfig(filepath.Join(tree, ".config")); err != nil {
			return err
		}
		return os.RemoveAll(tree)
	})
}

// checkConfig says which options of the fragment are not in the kernel's configuration.
// The build drops an option silently if a dependency is missing.
func checkConfig(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	has := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		has[strings.TrimSpace(line)] = true
	}
	var lost []string
	for line := range strings.Lines(bigEndianConfig) {
		line = strings.TrimSpace(line)
		if strings.HasSuffix(line, "=y") && !has[line] {
			lost = append(lost, line)
		}
	}
	if len(lost) > 0 {
		return fmt.Errorf("the kernel configuration lacks %s", strings.Join(lost, " "))
	}
	return nil
}
