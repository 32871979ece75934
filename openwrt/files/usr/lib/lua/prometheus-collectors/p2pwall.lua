-- SPDX-License-Identifier: GPL-2.0-or-later
--
-- Counters and clients of P2Pwall for prometheus-node-exporter-lua. It gets them over ubus.

local ubus = require "ubus"

-- The exporter does not escape labels.
local function text(s)
  return (tostring(s or ""):gsub('[%c\\"]', function(c)
    return (c == '"' or c == "\\") and "\\" .. c or "?"
  end))
end

local function scrape()
  local bus = ubus.connect()
  local status = bus and bus:call("p2pwall", "status", {})
  local found = status and bus:call("p2pwall", "clients", {})
  if bus then bus:close() end

  metric("p2pwall_up", "gauge", nil, status and 1 or 0)
  if not status then return end
  metric("p2pwall_rules_ok", "gauge", nil, status.rules_ok and 1 or 0)
  metric("p2pwall_uptime_seconds", "gauge", nil, status.uptime)
  metric("p2pwall_clients", "gauge", nil, status.clients)
  metric("p2pwall_locked", "gauge", nil, status.locked)
  for name, value in pairs(status.counters) do
    metric("p2pwall_" .. name .. "_total", "counter", nil, value)
  end

  local locked = metric("p2pwall_client_locked", "gauge")
  for _, c in ipairs(found and found.clients or {}) do
    locked({
      address = text(c.address), mac = text(c.mac),
      protocol = text(c.protocol), program = text(c.program)
    }, c.locked and 1 or 0)
  end
end

return { scrape = scrape }
