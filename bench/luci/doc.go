// SPDX-License-Identifier: GPL-2.0-or-later

// Package luci is a stand-in for a router's web interface, to try the LuCI app
// in a browser.
//
// Server serves the pages of luci-app-p2pwall as LuCI would. It reads the app's own menu
// and access list. It minifies the JavaScript with Minify, which works like LuCI's jsmin.
// It answers JSON-RPC at /ubus/ like uhttpd and rpcd. Calls of the object p2pwall go
// through the package's real rpcd script to a real daemon. States that a daemon cannot
// easily reach have canned replies.
//
// The runtime around the views (the folder runtime) replaces luci-base. It has the part of
// the API that the app uses, and is as careless as LuCI: for example, E() and
// dom.content() take strings for HTML. Set Config.LuCI to a checkout of LuCI to run the
// same pages with the real runtime.
//
// The tests control Debian's Chromium with playwright-core (the folder browser). npm
// installs playwright-core into the checkout's cache.
package luci
