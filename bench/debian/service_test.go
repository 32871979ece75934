// SPDX-License-Identifier: GPL-2.0-or-later

package debian

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// TestService installs the package, and does with the service what an owner does, and what
// happens to it. The client keeps trying all the time. It must stay locked, and no packet of
// it may get to its peers, also while nobody answers the queue.
func TestService(t *testing.T) {
	x := lab.NewTrial(t, "fasttrack", time.Minute, lab.Config{}, "systemd-nspawn", "mmdebstrap", "nsenter", "pgrep")
	root, err := system()
	x.OK(err)
	dir := t.TempDir()
	deb, err := buildPackage(dir)
	x.OK(err)
	c := boot(x, root, dir)
	install := "dpkg -i /mnt/" + filepath.Base(deb)

	said := c.run(install)
	if !strings.Contains(said, "name the LAN device") || c.active() {
		t.Fatalf("an installation without a device says %q, started: %v", said, c.active())
	}
	c.run("sed -i \"s/^#\\(\\tlist device\\).*/\\1 '" + lab.BridgeDev + "'/\" /etc/config/p2pwall && cp /etc/config/p2pwall /root/good")
	// The unit's watchdog waits for half a minute.
	c.run("mkdir -p /etc/systemd/system/p2pwall.service.d && printf '[Service]\\nWatchdogSec=4\\nRestartSec=1\\n' >/etc/systemd/system/p2pwall.service.d/test.conf && systemctl daemon-reload")
	c.run("sed -i \"s/enabled '1'/enabled '0'/\" /etc/config/p2pwall && systemctl start p2pwall")
	x.Until("a service that is disabled in its configuration ends without a fault", func() bool {
		return c.run("systemctl show --value -p ActiveState -p Result -p NRestarts p2pwall") == "success\n0\ninactive\n"
	})
	c.run("cp /root/good /etc/config/p2pwall && systemctl enable --now p2pwall")

	kazaa := lab.NewKazaa(x.Host, lab.KazaaConfig{Peers: x.Lab.Peers, Mode: 1})
	defer lab.Background(t, kazaa.Run)()
	// p2pwall's own view of the client.
	client := func(what string) func() bool {
		return func() bool {
			out, _ := c.try("p2pwall clients --json")
			return strings.Contains(out, `"`+x.Host.Addr4.String()+`"`) && strings.Contains(out, what)
		}
	}
	x.State = func() string {
		out, _ := c.try("p2pwall status; p2pwall clients; journalctl --no-pager -u p2pwall | tail -30")
		return out
	}
	locked := client(`"locked":true`)
	x.Until("the lock", locked)
	// From now on the kernel alone can keep the client from its peers.
	x.Until("all peers", client(fmt.Sprintf(`"peers":%d,`, len(x.Lab.Peers))))

	const goesOn = "the daemon goes on with the one before"
	faulty := "printf \"config protocol 'bittorrent'\\n\\toption mode 'blok'\\n\" >>/etc/config/p2pwall"
	// The kernel's sets have all peers again after that.
	const flush = `peers() { nft list set inet p2pwall cut4 | grep -o '203[.]0[.]113' | wc -l; }
		before=$(peers); nft flush ruleset; until [ "$(peers)" -ge "$before" ] 2>/dev/null; do sleep 0.1; done`
	for _, step := range []struct {
		what, do string
		fails    bool   // the command must fail
		same     bool   // the daemon must go on
		open     bool   // something may get out meanwhile
		says     string // what the status must say
	}{
		{what: "a restart", do: "systemctl restart p2pwall"},
		{what: "a reload", do: "systemctl reload p2pwall", same: true},
		{what: "a reload of a faulty file", do: faulty + "; systemctl reload p2pwall", fails: true, same: true, says: goesOn},
		{what: "a restart with a faulty file", do: "systemctl restart p2pwall", says: goesOn},
		{what: "the good file again", do: "cp /root/good /etc/config/p2pwall && systemctl reload p2pwall", same: true},
		{what: "a kill", do: "systemctl kill -s KILL p2pwall"},
		{what: "a daemon that hangs", do: "systemctl kill -s STOP p2pwall"},
		{what: "all rules removed", do: flush, same: true, open: true},
		{what: "an upgrade", do: install},
	} {
		begin, before := x.Lab.Packets.Now(), c.pid()
		switch out, err := c.try(step.do); {
		case step.fails != (err != nil):
			t.Errorf("%s: %v\n%s", step.what, err, out)
		case !step.same:
			x.Until(step.what+" and another daemon", func() bool { p := c.pid(); return p != "0" && p != before && c.active() })
		}
		if after := c.pid(); step.same && after != before {
			t.Errorf("%s: the daemon was %s and is %s", step.what, before, after)
		}
		x.Until(step.what+" and the lock", locked)
		if out := c.run("p2pwall status"); !strings.Contains(out, step.says) || step.says == "" && strings.Contains(out, "FAULT") {
			t.Errorf("%s: the status is\n%s", step.what, out)
		}
		if l := x.Lab.Leaks(x.Host, begin); len(l) > 0 && !step.open {
			t.Errorf("%s: %d packets got to peers, the first is %+v", step.what, len(l), l[0])
		}
	}

	c.run("dpkg -r p2pwall")
	if out := c.run("nft list ruleset; ls -d /run/p2pwall 2>/dev/null || true"); strings.Contains(out, "p2pwall") {
		log, _ := c.try("journalctl --no-pager -u p2pwall -o short-precise | tail -60")
		t.Errorf("after the removal there is\n%s\n%s", out, log)
	}
	if out := c.run("dpkg -P p2pwall; ls -d /etc/config /var/lib/p2pwall 2>/dev/null || true"); strings.Contains(out, "\n/") {
		t.Errorf("after the purge there is\n%s", out)
	}
}
