// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"

	"github.com/p2pwall/p2pwall/bench/lab"
	"github.com/p2pwall/p2pwall/bench/netns"
	"github.com/p2pwall/p2pwall/bench/npm"
)

// games are programs with which people play. Each player joins once and stays.
var games = []pastime{
	{name: "Minetest", begin: minetest},
	{name: "Minecraft, Java edition", begin: minecraft("minecraft.cjs", 25565)},
	{name: "RakNet, as Minecraft's Bedrock edition", begin: minecraft("raknet.cjs", 19132)},
	{name: "qstat, a query of a Source game's server", begin: source},
}

// stays makes a program that is started once and stays. Each use waits until it has
// printed a text a few times more.
func (p *programs) stays(start func() (*lab.Process, error), says string) func() error {
	var r *lab.Process
	return func() (err error) {
		if r == nil {
			if r, err = start(); err != nil {
				return err
			}
		}
		before := strings.Count(r.Log.String(), says)
		return r.Until(fmt.Sprintf("%q, 10 times more", says), p.patience, func() bool { return strings.Count(r.Log.String(), says) >= before+10 })
	}
}

// minetest is a game with a protocol of its own over UDP. Its client draws nothing and
// presses random keys. The server says when the player has moved.
func minetest(p *programs) (func() error, error) {
	const port = 30000
	world := p.file("minetest/world")
	p.write("minetest/world/world.mt", "gameid = devtest\n")
	p.write("minetest/world/worldmods/moved/mod.conf", "name = moved\n")
	p.write("minetest/world/worldmods/moved/init.lua", `local last, since = {}, 0
minetest.register_globalstep(function(passed)
	since = since + passed
	if since < 0.2 then return end
	since = 0
	for _, player in ipairs(minetest.get_connected_players()) do
		local now = minetest.pos_to_string(player:get_pos())
		if now ~= last then minetest.log("action", "moved " .. now) end
		last = now
	end
end)
`)
	server := p.write("minetest/server.conf", fmt.Sprintf("bind_address = %s\nenable_ipv6 = false\nmg_name = flat\nserver_announce = false\n", server))
	client := p.write("minetest/client.conf", "video_driver = null\nenable_sound = false\nenable_shaders = false\nviewing_range = 20\nfps_max = 5\nfps_max_unfocused = 5\n"+
		"serverlist_url =\ncontentdb_url =\n")
	// /usr/games/minetestserver has a log file of its own.
	s, err := p.serve("/usr/lib/minetest/minetestserver", "--config", server, "--world", world, "--logfile", "", "--port", fmt.Sprint(port), "--color", "never")
	if err == nil {
		err = says(s, "listening on")
	}
	if err != nil {
		return nil, err
	}
	var joined bool
	play := p.stays(func() (*lab.Process, error) { return s, nil }, "moved")
	return func() error {
		if !joined {
			joined = true
			_, err := p.run(p.host.Namespace, nil, "/usr/games/minetest", "--config", client, "--go", "--address", besideAddrs[0].String(), "--port", fmt.Sprint(port),
				"--name", "joe", "--password", "secret", "--logfile", "", "--color", "never", "--random-input")
			if err != nil {
				return err
			}
		}
		return play()
	}, nil
}

// modules installs npm's packages once.
var modules = sync.OnceValues(func() (string, error) {
	dir, err := npm.Modules("../..")
	if err != nil {
		return "", err
	}
	return filepath.Abs(dir)
})

// minecraft is a game whose server and player are a script for npm's packages.
func minecraft(script string, port uint16) func(p *programs) (func() error, error) {
	return func(p *programs) (func() error, error) {
		modules, err := modules()
		if err != nil {
			return nil, err
		}
		script, err := filepath.Abs(script) // the program runs in another folder
		if err != nil {
			return nil, err
		}
		run := func(in *netns.Namespace, what string) (*lab.Process, error) {
			return p.run(in, nil, "node", script, modules, what, server, fmt.Sprint(port))
		}
		r, err := run(p.lab.Inet.Namespace, "serve")
		if err == nil {
			err = says(r, "listening")
		}
		return p.stays(func() (*lab.Process, error) { return run(p.host.Namespace, "play") }, "heard"), err
	}
}

// source answers what players ask before they join a game of Source's: what is played
// there, by whom, and by which rules. A question counts only with the number that the
// server gave.
func source(p *programs) (func() error, error) {
	const number = "\x11\x22\x33\x44"
	u, err := p.lab.Inet.ListenUDP(netip.AddrPortFrom(besideAddrs[0], 27015))
	if err != nil {
		return nil, err
	}
	p.lab.OnClose(func() { u.Close() })
	go func() {
		for b := make([]byte, 1500); ; {
			n, from, err := u.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			reply := "A" + number
			if question := b[:n]; bytes.HasSuffix(question, []byte(number)) {
				switch {
				case bytes.HasPrefix(question, []byte("\xff\xff\xff\xffT")):
					reply = "I\x11a game\x00a map\x00cstrike\x00Counter-Strike\x00\xf0\x00\x01\x10\x00dl\x00\x011.0\x00\x00"
				case bytes.HasPrefix(question, []byte("\xff\xff\xff\xffU")):
					reply = "D\x01\x00joe\x00\x05\x00\x00\x00\x00\x00\x80\x3f"
				case bytes.HasPrefix(question, []byte("\xff\xff\xff\xffV")):
					reply = "E\x01\x00sv_gravity\x00800\x00"
				}
			}
			u.WriteToUDPAddrPort([]byte("\xff\xff\xff\xff"+reply), from)
		}
	}()
	return p.script("for i in 1 2 3 4 5; do quakestat -timeout 10 -retry 9 -a2s %s:27015 -P -R >q2$$; grep -q 'a map' q2$$; grep -q joe q2$$; grep -q sv_gravity=800 q2$$; done", server), nil
}
