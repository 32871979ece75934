// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
)

// TestNames: the owner's name for a host comes before that of its lease, and a new lease is
// seen.
func TestNames(t *testing.T) {
	leases := filepath.Join(t.TempDir(), "leases")
	before := config.LeaseFiles
	config.LeaseFiles = []string{leases}
	t.Cleanup(func() { config.LeaseFiles = before })
	write := func(text string) {
		if err := os.WriteFile(leases, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Parse(strings.NewReader("config p2pwall\n"+
		"config host\noption name study\nlist mac 02:00:00:00:00:01\n"+
		"config host\noption name attic\nlist ip 192.168.1.52\n"), "f")
	if err != nil {
		t.Fatal(err)
	}
	var n names
	n.configure(&c)
	mac := func(last byte) nfq.MAC { return nfq.MAC{2, 0, 0, 0, 0, last} }
	for _, x := range []struct {
		name, leases, addr string
		mac                nfq.MAC
		want               string
	}{
		{"by hardware address", "", "192.168.1.50", mac(1), "study"},
		{"by address", "", "192.168.1.52", nfq.MAC{}, "attic"},
		{"nobody knows it", "", "192.168.1.53", mac(3), ""},
		{"a lease", "9 02:00:00:00:00:03 192.168.1.53 printer *\n9 02:00:00:00:00:01 192.168.1.50 laptop *\n", "192.168.1.53", nfq.MAC{}, "printer"},
		{"a lease of another address of the host", "", "192.168.1.99", mac(3), "printer"},
		{"no hardware address is no host's", "", "192.168.1.99", nfq.MAC{}, ""},
		{"the owner's name comes first", "", "192.168.1.50", mac(1), "study"},
		{"a lease that has ended", "\n", "192.168.1.53", mac(3), ""},
	} {
		if x.leases != "" {
			write(x.leases)
		}
		if got := n.of(nfq.AddrFrom(netip.MustParseAddr(x.addr)), x.mac); got != x.want {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
		}
	}
	if err := os.Remove(leases); err != nil {
		t.Fatal(err)
	}
	if got := n.of(nfq.AddrFrom(netip.MustParseAddr("192.168.1.53")), mac(3)); got != "" {
		t.Errorf("without a file: %q", got)
	}
}
