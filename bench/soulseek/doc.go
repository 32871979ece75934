// SPDX-License-Identifier: GPL-2.0-or-later

// Package soulseek runs real Soulseek programs against the wall: Nicotine+ from Debian 13
// and npm's slsk-client, with a small server that knows just enough for a transfer. Each
// situation has its own network of namespaces (package lab). No packet leaves it.
//
//	go test -v ./bench/soulseek
//	go test -v -run 'TestWall/seeding' ./bench/soulseek
//
// The client can be another version of Nicotine+, from a folder with its source. Version 3.2 is
// in no suite of Debian. It needs Debian's python3-gdbm.
//
//	go test -v -run '/.*Nicotine' ./bench/soulseek -all -nicotine DIR
//
// TestWithoutWall runs the situations without the wall. Each must end with the file, which
// shows that each can fail. TestWall runs them with the real program on a real queue:
//
//   - The wall must find and lock the client within ten seconds of its first packet to
//     the network, or of the wall's start if the client ran before.
//   - Two seconds after the same moment no data of a file may pass the router.
//   - The lock must hold while the client runs and end within one lock time after it.
//   - The actions of users at the client's host and at another host must succeed.
//
// Nicotine+ waits half a minute for a server that does not answer, and up to a quarter of
// a minute more before the next try. So the lock time is longer here than in other tests.
package soulseek
