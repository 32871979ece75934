// SPDX-License-Identifier: GPL-2.0-or-later

// Package attacks is the gallery of attacks on the wall: what somebody can do who
// wants a host to lose its connections though it runs no file sharing. It holds tests
// only. Each is a scenario on a real kernel, with the real program, in the network of
// package lab; pages are opened by a real browser.
//
// A scenario has a victim, who uses the internet in all the usual ways over IPv4 and
// IPv6. It fails when the wall says that the victim was found or locked, when anything
// the victim does fails, or when one packet of the victim's is lost, but for those of
// the flow that is recognised. Where the wall must still act there is a client beside
// the victim, which has to be found. The list only grows.
//
//	go test ./bench/attacks
//	P2PWALL_BIN=/path/to/p2pwall go test ./bench/attacks   # of another revision
//
// Needed are root, ip, iptables and nft; for pages, chromium. Nothing is asserted
// about how fast something is, with one exception: TestListLoading compares how long
// packets wait with how long the loading of a list takes.
//
// # The scenarios
//
// The last column says what revision 8048849 does, which is the last that locked on
// one sign. A scenario that passes there is here because what is done against its
// neighbours could break it.
//
//	what is done                                     scenario                  8048849
//
//	From outside
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
//	an address that nobody has                       TestNobodysAddress        passes
//	a guest with an address of the main network      TestGuest                 locked
//	a source that is not on the LAN                  TestSourceOffTheLAN       forged packets leave
//	10,000 made-up sources                           TestMadeUpSources         clients not held
//
//	The host's own programs
//	one datagram or connection like a client's       TestOneSign               locked
//	port mapping, then random first data             TestMappingAndRandom      locked
//	port mapping of an echo                          TestMappingOfAnEcho       passes
//	a program called Rain                            TestRain                  locked
//	harmless data in a SYN                           TestFastOpenHarmless      passes
//
//	Whose packet it is
//	two computers behind a repeater                  TestRepeater              both locked
//	twelve IPv6 addresses                            TestManyAddresses         not all held
//	a link-local client                              TestLinkLocal             not asked
//	two queues                                       TestTwoQueues             held in one only
//
//	What must go on being found
//	a client's first packets, by its own conduct     TestSeveralSigns          passes
//	a handshake or hello in a SYN                    TestFastOpen              not looked at
//
//	The program itself
//	protocols off while a question is out            TestReloadWithAQuestionOut panics
//	answers of a byte a second                       TestSlowAnswer            nobody else is asked
//	long lists loaded into nftables                  TestListLoading           packets wait
//	marks of the router's own packets                TestRoutersMarks          one is dropped
//
// Not defended, so not here: a neighbour who uses the victim's hardware address as
// well as its IP address. What it sends cannot be told from the victim's own.
package attacks
