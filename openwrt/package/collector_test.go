// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestCollector runs the exporter's collector with a made-up ubus: for a running daemon whose
// hosts have malicious names, and for a daemon that does not run.
func TestCollector(t *testing.T) {
	if _, err := exec.LookPath("lua5.1"); err != nil {
		t.Skip("needs the program lua5.1")
	}
	const world = `
local replies = ...
package.preload.ubus = function() return {
  connect = function() return {
    call = function(_, object, method) return object == "p2pwall" and replies and replies[method] or nil end,
    close = function() end
  } end
} end
function metric(name, kind, labels, value)
  local function say(l, v)
    local all = {}
    for k, x in pairs(l or {}) do table.insert(all, k .. '="' .. x .. '"') end
    table.sort(all)
    print(kind .. " " .. name .. "{" .. table.concat(all, ",") .. "} " .. tostring(v))
  end
  if value then say(labels, value) end
  return say
end
return dofile("../files/usr/lib/lua/prometheus-collectors/p2pwall.lua").scrape()
`
	scrape := func(replies string) []string {
		t.Helper()
		cmd := exec.Command("lua5.1", "-e", "loadstring([==["+world+"]==])("+replies+")")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		slices.Sort(lines)
		return lines
	}
	got := scrape(`{
  status = { rules_ok = true, uptime = 90, clients = 2, locked = 1, counters = { dropped = 7, probes = 3 } },
  clients = { clients = {
    { address = "192.168.1.50", mac = "02:00:00:00:00:32", protocol = "bittorrent", program = 'a"} 1\n\\b', locked = true },
    { address = "192.168.1.51", mac = "", protocol = "fasttrack", locked = false }
  } }
}`)
	want := []string{
		`counter p2pwall_dropped_total{} 7`,
		`counter p2pwall_probes_total{} 3`,
		`gauge p2pwall_client_locked{address="192.168.1.50",mac="02:00:00:00:00:32",program="a\"} 1?\\b",protocol="bittorrent"} 1`,
		`gauge p2pwall_client_locked{address="192.168.1.51",mac="",program="",protocol="fasttrack"} 0`,
		`gauge p2pwall_clients{} 2`,
		`gauge p2pwall_locked{} 1`,
		`gauge p2pwall_rules_ok{} 1`,
		`gauge p2pwall_uptime_seconds{} 90`,
		`gauge p2pwall_up{} 1`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := scrape("nil"); !slices.Equal(got, []string{"gauge p2pwall_up{} 0"}) {
		t.Errorf("without the daemon: %q", got)
	}
}
