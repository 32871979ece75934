// SPDX-License-Identifier: GPL-2.0-or-later

// Package attacks is the collection of attacks on the wall. Each attacker tries to make
// a host lose its connections although the host runs no file sharing. The package has
// tests only. Each is a scenario on a real kernel, with the real program, in the network
// of package lab. A real browser opens the pages.
//
// A scenario has a victim that uses the internet in all the usual ways over IPv4 and
// IPv6. It fails if the wall reports the victim as found or locked, if any of the
// victim's actions fails, or if a packet of the victim is lost, except packets of the
// recognised flow. Where the wall must still act, there is also a client, and the wall
// must find it. Scenarios are only added, never removed.
//
//	go test ./bench/attacks
//	P2PWALL_BIN=/path/to/p2pwall go test ./bench/attacks   # of another revision
//
// The tests need root, ip, iptables and nft, and chromium for pages. No test asserts
// how fast something is, with one exception: TestListLoading compares the time that
// packets wait with the time that loading a list takes.
//
// # The scenarios
//
// The last column is the result on revision 8048849, the last that locked a host on one
// sign. Some scenarios pass there. They are here because the defence against similar
// attacks could break them.
//
//	attack                                           scenario                  8048849
//
//	From the internet
//	one forged segment: GIVE, a handshake, a hash    TestForgedSegment         locked
//	2000 unsolicited segments                        TestUnsolicited           reach user space
//	a stranger at a web server of the LAN:
//	  handshake, GIVE, hash, Kazaa's header          TestServerBehindAForward  locked
//	  announce                                       TestServerBehindAForward  passes
//	strangers at an echo of the LAN, TCP and UDP     TestEcho                  locked
//	an answer with X-Kazaa-SupernodeIP               TestAnswerWithSupernode   locked, DNS cut
//	the same, and a client on the host               TestNamedOfAClient        DNS cut, never released
//	a DHT answer that names a public server          TestValues                never released
//	a listed name for everybody's addresses          TestListedName            locked
//	380 strangers in and with DHT messages           TestEventCommands         763 processes
//
//	A page in a browser
//	image .hash=0, image with a whole hash           TestPage                  locked
//	requests with Kazaa's headers                    TestPage                  locked
//	answers with Kazaa's headers                     TestPage                  locked
//	announce and scrape                              TestPage                  locked
//	listed names                                     TestPage                  locked
//	forms, WebSockets, WebRTC, dead addresses        TestPage                  passes
//
//	A neighbour
//	the victim's address, own hardware address       TestForgedNeighbour       listed, cut
//	an unused address                                TestNobodysAddress        passes
//	a guest with an address of the main network      TestGuest                 locked
//	a source that is not on the LAN                  TestSourceOffTheLAN       forged packets leave
//	10,000 made-up sources                           TestMadeUpSources         clients not locked
//
//	The host's own programs
//	one datagram or connection like a client's       TestOneSign               locked
//	port mapping, then random first data             TestMappingAndRandom      locked
//	port mapping of an echo                          TestMappingOfAnEcho       passes
//	a program called Rain                            TestRain                  locked
//	harmless data in a SYN                           TestFastOpenHarmless      passes
//
//	The owner of a packet
//	two computers behind a repeater                  TestRepeater              both locked
//	twelve IPv6 addresses                            TestManyAddresses         not all locked
//	a link-local client                              TestLinkLocal             not probed
//	two queues                                       TestTwoQueues             locked in one only
//
//	What must still be found
//	a client's first packets, by its own conduct     TestSeveralSigns          passes
//	a handshake or hello in a SYN                    TestFastOpen              not looked at
//
//	The program itself
//	protocols off while a probe is out               TestReloadWithAQuestionOut panics
//	answers of a byte a second                       TestSlowAnswer            no other host is probed
//	long lists loaded into nftables                  TestListLoading           packets wait
//	marks of the router's own packets                TestRoutersMarks          one is dropped
//
// There is no defence, and so no test, against a neighbour that uses the victim's
// hardware address as well as its IP address. Its packets look like the victim's own.
package attacks
