// SPDX-License-Identifier: MIT
/*
 * TCP's timers are the kernel's and run in real time under this engine. While
 * one that repairs a loss is pending, virtual time must not run ahead of real
 * time: passing over idle time would make every retransmission late. So
 * before a skip the hosts that have TCP frames on their links, or connections
 * to themselves, are asked, by sock_diag in their network namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>

#include "engine.h"

#define TIMER_RETRANSMIT 1
#define TIMER_PROBE 4

static int own_netns = -1;

static bool same_netns(int fd)
{
	struct stat own, other;

	return fstat(own_netns, &own) || fstat(fd, &other) ||
	       (own.st_dev == other.st_dev && own.st_ino == other.st_ino);
}

/* Sockets of a namespace are made inside it. */
static struct mnl_socket *open_in(int netns)
{
	struct mnl_socket *socket;

	if (setns(netns, CLONE_NEWNET))
		return NULL;
	socket = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	engine_assert(!setns(own_netns, CLONE_NEWNET));
	if (socket && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(socket);
		socket = NULL;
	}
	return socket;
}

void tcp_watch(struct host *host, pid_t pid)
{
	char path[48];
	int netns;

	if (host->diag)
		return;
	if (own_netns < 0)
		own_netns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	netns = open(path, O_RDONLY | O_CLOEXEC);
	if (netns < 0)
		return;
	/* What the switches and the controller share is no host's own. */
	if (!same_netns(netns))
		host->diag = open_in(netns);
	close(netns);
}

void tcp_forget(struct host *host)
{
	if (host->diag)
		mnl_socket_close(host->diag);
	host->diag = NULL;
	host->tcp_seen = host->tcp_local = false;
}

/* No frame on a link tells of connections inside the host. */
void tcp_connect(struct host *host, int family)
{
	if (family == AF_INET || family == AF_INET6)
		host->tcp_local = host->tcp_seen = engine.tcp_seen = true;
}

struct answer {
	bool pending, local;
};

static bool is_local(const struct inet_diag_sockid *id, uint8_t family)
{
	size_t size = family == AF_INET6 ? sizeof(id->idiag_src) : sizeof(uint32_t);

	return !memcmp(id->idiag_src, id->idiag_dst, size);
}

static int look_at(const struct nlmsghdr *header, void *arg)
{
	const struct inet_diag_msg *message = mnl_nlmsg_get_payload(header);
	bool local = is_local(&message->id, message->idiag_family);
	struct answer *answer = arg;

	answer->local |= local;
	/* Inside a host no update of a window is lost: there is nothing to probe. */
	if (message->idiag_timer == TIMER_RETRANSMIT ||
	    (message->idiag_timer == TIMER_PROBE && !local))
		answer->pending = true;
	return MNL_CB_OK;
}

static void ask(struct mnl_socket *socket, uint8_t family, struct answer *answer)
{
	char buffer[16384];
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct inet_diag_req_v2 *request;
	unsigned int port = mnl_socket_get_portid(socket);
	ssize_t size;

	header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
	request->sdiag_family = family;
	request->sdiag_protocol = IPPROTO_TCP;
	request->idiag_states = ~(1u << TCP_LISTEN | 1u << TCP_TIME_WAIT |
				  1u << TCP_CLOSE);
	if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		return;
	do
		size = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
	while (size > 0 && mnl_cb_run(buffer, (size_t)size, 0, port, look_at,
				      answer) > MNL_CB_STOP);
}

bool tcp_pending(void)
{
	engine.tcp_seen = false;
	for (uint32_t i = 0; i < engine.host_count; i++) {
		struct host *host = engine.hosts[i];
		struct answer answer = { 0 };

		if (!host->tcp_seen || !host->diag)
			continue;
		ask(host->diag, AF_INET, &answer);
		ask(host->diag, AF_INET6, &answer);
		if (answer.pending) {
			engine.tcp_seen = true;
			return true;
		}
		/* Until its next frame, or the next slice of it. */
		host->tcp_seen = false;
		host->tcp_local = answer.local;
	}
	return false;
}
