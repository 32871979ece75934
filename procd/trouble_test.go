// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"testing"

	"github.com/p2pwall/p2pwall/openwrt/config"
)

// TestTrouble: a trouble is told when it lasts, its end at once, and another one anew.
func TestTrouble(t *testing.T) {
	log, _ := logged()
	c := config.Default()
	c.Notify = []config.Notify{{Name: "a", Kind: config.NotifyNtfy, URL: "http://a", Events: config.NotifyUnprotected}}
	d := newDaemon(Options{Log: log}, c)
	d.outbox.Configure(c.Notify)
	d.status.setDevices([]string{"br-lan"}, nil)
	d.status.setRules("nft", "nft", true)
	d.rounds = 1 // no round in which queue and firewall are looked at
	const gone = "its firewall rules are gone and cannot be put back"
	for _, x := range []struct {
		name   string
		change func()
		rounds int
		want   string
	}{
		{"well", func() {}, 2 * lasting, ""},
		{"rules gone for a moment", func() { d.status.setRules("nft", "nft", false) }, lasting - 1, ""},
		{"back", func() { d.status.setRules("nft", "nft", true) }, 1, ""},
		{"gone again", func() { d.status.setRules("nft", "nft", false) }, lasting - 1, ""},
		{"for long", func() {}, 1, gone},
		{"the same", func() {}, 2 * lasting, gone},
		{"the firewall, too", func() { d.inbound <- "it lets connections in" }, lasting, gone + "; it lets connections in"},
		{"the device is gone", func() { d.status.setDevices(nil, nil) }, lasting, "there is no LAN device; it lets connections in"},
		{"only the firewall", func() { d.status.setRules("nft", "nft", true) }, lasting, "it lets connections in"},
		{"well again", func() { d.inbound <- "" }, 1, ""},
		{"nobody wants to know", func() {
			d.status.cfg.Notify = nil
			d.status.setRules("nft", "nft", false)
		}, 2 * lasting, ""},
		{"rules of another program", func() {
			d.status.cfg.Notify = c.Notify
			d.o.NoRules = true
		}, 2 * lasting, ""},
	} {
		x.change()
		for range x.rounds {
			d.lookForTrouble()
		}
		if d.troubles.said != x.want {
			t.Errorf("%s: told %q, want %q", x.name, d.troubles.said, x.want)
		}
	}
	if r := d.outbox.Receivers(); len(r) != 1 || r[0].Waiting == 0 {
		t.Errorf("nothing waits to be sent: %+v", r)
	}
}
