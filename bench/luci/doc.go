// SPDX-License-Identifier: GPL-2.0-or-later

// Package luci is a stand-in for a router's web interface, to try the LuCI app
// in a browser.
//
// Server serves the pages of luci-app-p2pwall as LuCI would: it reads the app's
// own menu and access list, minifies its JavaScript with Minify, which does what
// LuCI's jsmin does, and answers JSON-RPC at /ubus/ as uhttpd and rpcd would. Calls
// of the object p2pwall go through the package's real rpcd script to a real
// daemon, or to canned replies for states that no daemon can be brought into.
//
// The runtime around the views (the folder runtime) is a stand-in for luci-base: as
// much of its API as the app uses, and as careless where LuCI is, above all with
// strings, which E() and dom.content() take for HTML. Set Config.LuCI to a checkout
// of LuCI to run the same pages with the real one.
//
// The tests drive Debian's Chromium with playwright-core (the folder browser), which
// npm installs outside of the checkout.
package luci
