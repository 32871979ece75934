// SPDX-License-Identifier: GPL-2.0-or-later
//
// A preloaded library that sends a program's netlink traffic to another kernel. Debian
// has no nft for big-endian MIPS. That for s390x writes the same bytes, because both are
// big-endian. It runs under qemu-s390x on the host with this library. The library hands
// every message to the test bed (remote.go). The test bed hands it to guestctl inside the
// emulated machine, which talks to that machine's kernel.
//
// The program's netlink socket is in fact one end of a socket pair. This library writes
// the answers to the other end. A send returns when all immediate answers of the kernel
// are there, as with a real socket: nft reads its acknowledgements without waiting.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { SOCKETS = 256, LARGEST = 1 << 20 };

static struct tunnel {
	int used;
	int wire;   // to the test bed
	int answer; // the end of the socket pair that the answers are written to
	uint32_t portid;
} tunnels[SOCKETS];

static char buffer[LARGEST];

#define REAL(name) \
	static __typeof__(name) *real; \
	if (!real) \
		real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static struct tunnel *find(int fd)
{
	return fd >= 0 && fd < SOCKETS && tunnels[fd].used ? &tunnels[fd] : NULL;
}

static int plain_socket(int domain, int type, int protocol)
{
	REAL(socket);
	return real(domain, type, protocol);
}

static ssize_t plain_recv(int fd, void *buf, size_t len)
{
	REAL(recv);
	return real(fd, buf, len, 0);
}

static ssize_t plain_send(int fd, const void *buf, size_t len)
{
	REAL(send);
	return real(fd, buf, len, MSG_NOSIGNAL);
}

int socket(int domain, int type, int protocol)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	uint32_t first = (uint32_t)protocol;
	int pair[2], wire, large = LARGEST;
	const char *path = getenv("P2PW_TUNNEL");

	if (domain != AF_NETLINK || !path)
		return plain_socket(domain, type, protocol);
	wire = plain_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (wire < 0)
		return -1;
	strncpy(to.sun_path, path, sizeof(to.sun_path) - 1);
	if (connect(wire, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    plain_send(wire, &first, sizeof(first)) < 0 ||
	    plain_recv(wire, &first, sizeof(first)) != sizeof(first) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		close(wire);
		errno = EPROTONOSUPPORT;
		return -1;
	}
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof(large));
	if (pair[0] >= SOCKETS) {
		errno = EMFILE;
		return -1;
	}
	tunnels[pair[0]] = (struct tunnel){ 1, wire, pair[1], first };
	return pair[0];
}

// talk sends one message through the tunnel and queues the answers. The reply is a count,
// or an error number with the top bit set, and then that many datagrams.
static ssize_t talk(struct tunnel *t, const void *data, size_t len)
{
	uint32_t count;

	if (plain_send(t->wire, data, len) != (ssize_t)len ||
	    plain_recv(t->wire, &count, sizeof(count)) != sizeof(count)) {
		errno = EPIPE;
		return -1;
	}
	if (count & 0x80000000u) {
		errno = (int)(count & 0x7fffffffu);
		return -1;
	}
	while (count--) {
		ssize_t n = plain_recv(t->wire, buffer, sizeof(buffer));

		if (n < 0 || plain_send(t->answer, buffer, (size_t)n) != n)
			return -1;
	}
	return (ssize_t)len;
}

ssize_t sendto(int fd, const void *buf, size_t len, int flags,
	       const struct sockaddr *to, socklen_t tolen)
{
	REAL(sendto);
	struct tunnel *t = find(fd);

	return t ? talk(t, buf, len) : real(fd, buf, len, flags, to, tolen);
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	REAL(send);
	struct tunnel *t = find(fd);

	return t ? talk(t, buf, len) : real(fd, buf, len, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	REAL(sendmsg);
	struct tunnel *t = find(fd);
	size_t len = 0;
	ssize_t n;
	char *all;

	if (!t)
		return real(fd, m, flags);
	for (size_t i = 0; i < m->msg_iovlen; i++)
		len += m->msg_iov[i].iov_len;
	all = malloc(len ? len : 1);
	if (!all)
		return -1;
	len = 0;
	for (size_t i = 0; i < m->msg_iovlen; i++) {
		memcpy(all + len, m->msg_iov[i].iov_base, m->msg_iov[i].iov_len);
		len += m->msg_iov[i].iov_len;
	}
	n = talk(t, all, len);
	free(all);
	return n;
}

static void from_kernel(void *name, socklen_t *len)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK };

	if (name && *len >= sizeof(a))
		memcpy(name, &a, sizeof(a));
	*len = sizeof(a);
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	REAL(recvmsg);
	ssize_t n;
	void *name = m->msg_name;
	socklen_t len = m->msg_namelen;

	if (!find(fd))
		return real(fd, m, flags);
	m->msg_name = NULL;
	m->msg_namelen = 0;
	n = real(fd, m, flags);
	from_kernel(name, &len);
	m->msg_name = name;
	m->msg_namelen = len;
	return n;
}

ssize_t recvfrom(int fd, void *buf, size_t size, int flags, struct sockaddr *from,
		 socklen_t *len)
{
	REAL(recvfrom);
	ssize_t n;

	if (!find(fd))
		return real(fd, buf, size, flags, from, len);
	n = real(fd, buf, size, flags, NULL, NULL);
	if (len)
		from_kernel(from, len);
	return n;
}

int bind(int fd, const struct sockaddr *a, socklen_t len)
{
	REAL(bind);
	return find(fd) ? 0 : real(fd, a, len);
}

int getsockname(int fd, struct sockaddr *a, socklen_t *len)
{
	REAL(getsockname);
	struct tunnel *t = find(fd);
	struct sockaddr_nl own = { .nl_family = AF_NETLINK };

	if (!t)
		return real(fd, a, len);
	own.nl_pid = t->portid;
	memcpy(a, &own, *len < sizeof(own) ? *len : sizeof(own));
	*len = sizeof(own);
	return 0;
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	REAL(setsockopt);
	return find(fd) ? 0 : real(fd, level, option, value, len);
}

int close(int fd)
{
	REAL(close);
	struct tunnel *t = find(fd);

	if (t) {
		t->used = 0;
		real(t->wire);
		real(t->answer);
	}
	return real(fd);
}
