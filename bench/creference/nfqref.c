// SPDX-License-Identifier: GPL-2.0-or-later
//
// nfqref accepts every packet of one NFQUEUE as cheaply as C allows. It reads up to 64
// packets with one recvmmsg, gives one batch verdict for them, and uses no library. The
// benchmarks divide the CPU time of p2pwall by that of nfqref on the same machine.
//
// usage: nfqref QUEUE [COPY_RANGE]
//
// It prints "ready" once the queue is bound and, on SIGTERM or SIGINT, one
// line: packets, receive calls, CPU microseconds.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 64, SLOT = 4096, QUEUE_LENGTH = 1024 };

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

// put appends one attribute to a message and updates the message's length.
static void put(struct nlmsghdr *h, uint16_t type, const void *data, uint16_t len)
{
	struct nlattr *a = (struct nlattr *)((char *)h + NLMSG_ALIGN(h->nlmsg_len));

	a->nla_type = type;
	a->nla_len = NLA_HDRLEN + len;
	memcpy((char *)a + NLA_HDRLEN, data, len);
	h->nlmsg_len = NLMSG_ALIGN(h->nlmsg_len) + NLA_ALIGN(a->nla_len);
}

static struct nlmsghdr *begin(void *buf, uint16_t type, uint16_t flags, uint16_t queue)
{
	struct nlmsghdr *h = buf;
	struct nfgenmsg *g = NLMSG_DATA(h);

	memset(buf, 0, 256);
	h->nlmsg_len = NLMSG_LENGTH(sizeof(*g));
	h->nlmsg_type = (NFNL_SUBSYS_QUEUE << 8) | type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	g->nfgen_family = AF_UNSPEC;
	g->version = NFNETLINK_V0;
	g->res_id = htons(queue);
	return h;
}

// ask sends a configuration message and waits for the kernel's answer.
static void ask(int fd, struct nlmsghdr *h, const char *what)
{
	char buf[1024];
	struct nlmsghdr *r = (struct nlmsghdr *)buf;

	if (send(fd, h, h->nlmsg_len, 0) < 0)
		die(what);
	if (recv(fd, buf, sizeof(buf), 0) < 0)
		die(what);
	if (r->nlmsg_type == NLMSG_ERROR) {
		errno = -((struct nlmsgerr *)NLMSG_DATA(r))->error;
		if (errno)
			die(what);
	}
}

static void configure(int fd, uint16_t queue, uint32_t range)
{
	char buf[256];
	struct nlmsghdr *h;
	struct nfqnl_msg_config_cmd cmd = { .command = NFQNL_CFG_CMD_BIND };
	struct nfqnl_msg_config_params params = {
		.copy_range = htonl(range),
		.copy_mode = NFQNL_COPY_PACKET,
	};
	uint32_t length = htonl(QUEUE_LENGTH);
	uint32_t flags = htonl(NFQA_CFG_F_FAIL_OPEN);
	int one = 1;

	h = begin(buf, NFQNL_MSG_CONFIG, NLM_F_ACK, queue);
	put(h, NFQA_CFG_CMD, &cmd, sizeof(cmd));
	ask(fd, h, "bind queue");

	h = begin(buf, NFQNL_MSG_CONFIG, NLM_F_ACK, queue);
	put(h, NFQA_CFG_PARAMS, &params, sizeof(params));
	put(h, NFQA_CFG_QUEUE_MAXLEN, &length, sizeof(length));
	put(h, NFQA_CFG_FLAGS, &flags, sizeof(flags));
	put(h, NFQA_CFG_MASK, &flags, sizeof(flags));
	ask(fd, h, "configure queue");

	// Without this option one overrun can stall a recvmmsg reader for good.
	if (setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &one, sizeof(one)) < 0)
		die("NETLINK_NO_ENOBUFS");
}

// packet_id returns the id of a queued packet, or 0 for another message.
static uint32_t packet_id(const char *buf, size_t len)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;
	size_t at = NLMSG_LENGTH(sizeof(struct nfgenmsg));

	if (len < at || h->nlmsg_type != ((NFNL_SUBSYS_QUEUE << 8) | NFQNL_MSG_PACKET))
		return 0;
	while (at + NLA_HDRLEN <= len) {
		const struct nlattr *a = (const struct nlattr *)(buf + at);

		if (a->nla_len < NLA_HDRLEN || at + a->nla_len > len)
			return 0;
		if ((a->nla_type & NLA_TYPE_MASK) == NFQA_PACKET_HDR) {
			const struct nfqnl_msg_packet_hdr *p =
				(const void *)((const char *)a + NLA_HDRLEN);
			return ntohl(p->packet_id);
		}
		at += NLA_ALIGN(a->nla_len);
	}
	return 0;
}

int main(int argc, char **argv)
{
	static char slab[BATCH][SLOT] __attribute__((aligned(8)));
	static struct mmsghdr msgs[BATCH];
	static struct iovec iov[BATCH];
	struct sigaction sa = { .sa_handler = on_signal };
	struct nfqnl_msg_verdict_hdr verdict = { .verdict = htonl(NF_ACCEPT) };
	unsigned long packets = 0, calls = 0;
	struct rusage used;
	uint16_t queue;
	uint32_t range = 2048;
	int fd;

	if (argc < 2) {
		fprintf(stderr, "usage: nfqref QUEUE [COPY_RANGE]\n");
		return 2;
	}
	queue = (uint16_t)atoi(argv[1]);
	if (argc > 2)
		range = (uint32_t)atoi(argv[2]);

	sigaction(SIGTERM, &sa, NULL); // no SA_RESTART: recvmmsg shall return
	sigaction(SIGINT, &sa, NULL);

	fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
	if (fd < 0)
		die("socket");
	configure(fd, queue, range);
	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ slab[i], SLOT };
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	puts("ready");
	fflush(stdout);

	while (!stop) {
		int n = recvmmsg(fd, msgs, BATCH, MSG_WAITFORONE, NULL);
		uint32_t highest = 0;
		int seen = 0;

		if (n < 0) {
			if (errno == EINTR || errno == ENOBUFS)
				continue;
			die("recvmmsg");
		}
		calls++;
		for (int i = 0; i < n; i++) {
			uint32_t id = packet_id(slab[i], msgs[i].msg_len);

			// Ids wrap, so compare them by their difference.
			if (id && (!seen || (int32_t)(id - highest) > 0))
				highest = id;
			seen += id != 0;
		}
		packets += seen;
		if (seen) {
			char buf[256];
			struct nlmsghdr *h = begin(buf, NFQNL_MSG_VERDICT_BATCH, 0, queue);

			verdict.id = htonl(highest);
			put(h, NFQA_VERDICT_HDR, &verdict, sizeof(verdict));
			if (send(fd, h, h->nlmsg_len, 0) < 0 && errno != EINTR)
				perror("verdict");
		}
	}
	getrusage(RUSAGE_SELF, &used);
	printf("packets %lu calls %lu cpu_us %llu\n", packets, calls,
	       (unsigned long long)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000ULL +
	       (unsigned long long)(used.ru_utime.tv_usec + used.ru_stime.tv_usec));
	close(fd);
	return 0;
}
