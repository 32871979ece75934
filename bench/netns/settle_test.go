// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"strings"
	"testing"
)

// TestSettle: an address is not of use while its link is down, and is of use after Settle.
func TestSettle(t *testing.T) {
	Enter(t)
	Run(t, "", "ip", "link", "add", "left", "type", "veth", "peer", "name", "right")
	Run(t, "", "ip", "link", "set", "dev", "left", "up")
	Run(t, "", "ip", "address", "add", "2001:db8:1::10/64", "dev", "left")
	if missing, err := unsettled(); err != nil || missing == "" {
		t.Errorf("an address without a link is of use (%v)", err)
	}
	Run(t, "", "ip", "link", "set", "dev", "right", "up")
	if err := Settle(); err != nil {
		t.Fatal(err)
	}
	if out := Run(t, "", "ip", "-6", "address", "show", "tentative"); strings.Contains(out, "inet6") {
		t.Errorf("after Settle: %s", out)
	}
	if out := Run(t, "", "ip", "-6", "route", "show", "table", "local"); !strings.Contains(out, "local 2001:db8:1::10") {
		t.Errorf("no route to the address: %s", out)
	}
	if out := Run(t, "", "ip", "-6", "maddress", "show", "dev", "left"); !strings.Contains(out, "ff02::1:ff00:10") {
		t.Errorf("nobody can ask for the address: %s", out)
	}
}
