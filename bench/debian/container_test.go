// SPDX-License-Identifier: GPL-2.0-or-later

package debian

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/bench/lab"
	"github.com/p2pwall/p2pwall/bench/netns"
)

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, "debian", 2)) }

// systemPackages is what a gateway has beside Debian's smallest system.
const systemPackages = "systemd,systemd-sysv,dbus,nftables,iptables,procps,kmod"

// system returns the folder with the Debian system: this machine's suite, from its mirror.
// It takes a minute to make, and is remade if it is missing.
func system() (string, error) {
	mirror, suite, err := lab.DebianMirror()
	if err != nil {
		return "", err
	}
	cache, unlock, err := lab.Cache("debian")
	if err != nil {
		return "", err
	}
	defer unlock()
	root := filepath.Join(cache, suite)
	return root, lab.Once(root, func(part string) error {
		return lab.Debootstrap(part, mirror, suite, "minbase", systemPackages)
	})
}

// buildPackage builds the Debian package for this machine and returns its path.
func buildPackage(dir string) (string, error) {
	arch := map[string]string{"arm": "armhf"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	out, err := exec.Command("go", "-C", "../../openwrt/package", "run", ".", "-deb", "-only", arch, "-out", dir).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("the package: %w\n%s", err, out)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("not one package in %s: %q, %v", dir, found, err)
	}
	return found[0], nil
}

// container is a running system.
type container struct {
	x     *lab.Trial
	first string // the process ID of its systemd
}

// boot starts a system in the router's namespace. In the system, dir is /mnt.
func boot(x *lab.Trial, root, dir string) *container {
	x.T.Helper()
	p, err := x.Lab.Start(exec.Command("systemd-nspawn", "--quiet", "--boot", "--directory", root, "--volatile=overlay",
		"--network-namespace-path="+filepath.Join(netns.Dir, x.Lab.Router.Name), "--capability=CAP_NET_ADMIN,CAP_NET_RAW",
		"--bind-ro="+dir+":/mnt", "--machine=gateway", "--register=no", "--keep-unit", "--console=pipe"))
	x.OK(err)
	c := &container{x: x}
	x.Until("systemd is up", func() bool {
		if !p.Running() {
			x.T.Fatalf("systemd-nspawn ended:\n%s", p.Log.String())
		}
		out, _ := exec.Command("pgrep", "-P", fmt.Sprint(p.Cmd.Process.Pid)).Output()
		c.first = strings.TrimSpace(string(out))
		if c.first == "" {
			return false
		}
		state, _ := c.try("systemctl is-system-running")
		return strings.HasPrefix(state, "running") || strings.HasPrefix(state, "degraded")
	})
	return c
}

// try runs a shell command in the system and returns what it prints.
func (c *container) try(script string) (string, error) {
	cmd := exec.Command("nsenter", "-t", c.first, "-a", "--", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
		"LANG=C.UTF-8", "sh", "-c", script)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// run is try for a command that must not fail.
func (c *container) run(script string) string {
	c.x.T.Helper()
	out, err := c.try(script)
	if err != nil {
		log, _ := c.try("journalctl --no-pager -u p2pwall | tail -30")
		c.x.T.Fatalf("%s: %v\n%s\n%s", script, err, out, log)
	}
	return out
}

// pid is the daemon's process ID, "0" if it does not run.
func (c *container) pid() string {
	return strings.TrimSpace(c.run("systemctl show --value -p MainPID p2pwall"))
}

// active reports whether systemd counts the service as started.
func (c *container) active() bool {
	_, err := c.try("systemctl is-active --quiet p2pwall")
	return err == nil
}
