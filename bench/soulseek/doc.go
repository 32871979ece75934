// SPDX-License-Identifier: GPL-2.0-or-later

// Package soulseek runs real Soulseek programs against the wall: Nicotine+ as Debian 13
// has it, and slsk-client of npm, with a small server that knows just enough for a
// transfer. No packet leaves the network of namespaces (package lab) that each situation
// has of its own.
//
//	go test -v ./bench/soulseek
//	go test -v -run 'TestWall/seeding' ./bench/soulseek
//
// TestWithoutWall runs the situations without the wall: each must end with the file. So
// each can fail. TestWall runs them with the real program on a real queue. There
//
//   - the client is found, and locked, within ten seconds of its first packet to the
//     network, or of the wall's start where it ran before;
//   - two seconds after that no data of a file passes the router;
//   - the lock holds as long as the client runs, and ends within one lock time after it;
//   - what people do beside it, at its host and at another, completes.
//
// Nicotine+ waits half a minute for a server that does not answer and then up to a quarter
// for the next try, so that the lock time is not as short here as in other tests.
package soulseek
