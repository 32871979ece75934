-- SPDX-License-Identifier: GPL-2.0-or-later
--
-- Counters of P2Pwall for collectd. It gets them over ubus, and needs collectd-mod-lua and
-- libubus-lua. collectd does not start with a configuration for a plugin that is not
-- installed, so that no package has these lines in /etc/collectd/conf.d:
--
--   LoadPlugin lua
--   <Plugin lua>
--     BasePath "/usr/share/collectd-mod-lua"
--     Script "p2pwall.lua"
--   </Plugin>

local ubus = require "ubus"

local counters = { "dropped_tcp", "dropped_udp", "marked", "probes" }

local function put(kind, instance, value)
  if value then
    collectd.dispatch_values { plugin = "p2pwall", type = kind, type_instance = instance, values = { value } }
  end
end

-- Without a running daemon there are no values: the graph has a gap.
local function read()
  local bus = ubus.connect()
  local status = bus and bus:call("p2pwall", "status", {})
  if bus then bus:close() end
  if not status or not status.counters then return 0 end

  put("gauge", "clients", status.clients)
  put("gauge", "locked", status.locked)
  for _, name in ipairs(counters) do
    put("derive", name, status.counters[name])
  end
  return 0
end

collectd.register_read(read)
