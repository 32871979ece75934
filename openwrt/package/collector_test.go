// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bufio"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
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

// TestCollectd runs collectd with the script for its plugin lua and a made-up ubus, and reads
// what it collects. At first the daemon does not run.
func TestCollectd(t *testing.T) {
	collectd, err := exec.LookPath("collectd")
	if err != nil {
		collectd = "/usr/sbin/collectd"
	}
	const plugins, types = "/usr/lib/collectd", "/usr/share/collectd/types.db"
	for _, name := range []string{collectd, plugins + "/lua.so", plugins + "/csv.so", types} {
		if _, err := os.Stat(name); err != nil {
			t.Skip("needs the package collectd-core")
		}
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"ubus.lua": `local calls = 0
return { connect = function() return {
  call = function(_, object, method)
    calls = calls + 1
    return calls > 1 and object == "p2pwall" and method == "status" and
      { clients = 3, locked = 2, counters = { dropped_tcp = 1000, dropped_udp = 2000, marked = 0, probes = 7, packets = 9 } } or nil
  end,
  close = function() end
} end }
`,
		"collectd.conf": `Hostname "router"
BaseDir "` + dir + `"
PIDFile "` + dir + `/pid"
PluginDir "` + plugins + `"
TypesDB "` + types + `"
LoadPlugin csv
<Plugin csv>
  DataDir "stdout"
</Plugin>
<LoadPlugin lua>
  Interval 0.2
</LoadPlugin>
<Plugin lua>
  BasePath "` + dir + `"
  Script "p2pwall.lua"
</Plugin>
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script, err := filepath.Abs("../files/usr/share/collectd-mod-lua/p2pwall.lua")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(script, filepath.Join(dir, "p2pwall.lua")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), collectd, "-f", "-C", filepath.Join(dir, "collectd.conf"))
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer watchdog.Stop()
	want := map[string]string{
		"gauge-clients": "3.000000", "gauge-locked": "2.000000",
		"derive-dropped_tcp": "1000", "derive-dropped_udp": "2000", "derive-marked": "0", "derive-probes": "7",
	}
	got := map[string]string{}
	for lines := bufio.NewScanner(out); len(got) < len(want) && lines.Scan(); {
		words := strings.Fields(lines.Text()) // PUTVAL router/p2pwall/TYPE-INSTANCE interval=1.000 TIME:VALUE
		if len(words) != 4 || words[0] != "PUTVAL" {
			continue
		}
		_, value, _ := strings.Cut(words[3], ":")
		got[strings.TrimPrefix(words[1], "router/p2pwall/")] = value
	}
	cmd.Process.Kill()
	cmd.Wait()
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v; collectd said:\n%s", got, want, said.String())
	}
}
