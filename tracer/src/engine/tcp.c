// SPDX-License-Identifier: MIT
/*
 * TCP's timers are the kernel's and run in real time under this engine. While
 * one that repairs a loss is pending, virtual time must not run ahead of real
 * time: passing over idle time would make every retransmission late. So
 * before a skip the hosts that have TCP frames on their links, or connections
 * to themselves, are asked, by sock_diag in their network namespace.
 *
 * Congestion control must not look at real time either, as BBR and CUBIC do:
 * as long as a host lives its namespace has Reno for a default.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>

#include "engine.h"

#define SETTING_MAX 32
#define TIMER_RETRANSMIT 1
#define TIMER_PROBE 4

/* Of a host's namespace, and what they were before. */
static const struct setting {
	const char *path, *value;
} settings[] = {
	{ "/proc/sys/net/ipv4/tcp_congestion_control", "reno" },
	/* Round trips of earlier connections, in real time. */
	{ "/proc/sys/net/ipv4/tcp_no_metrics_save", "1" },
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

struct tcp_space {
	int netns;
	struct mnl_socket *diag; /* asks for timers */
	char before[SETTINGS][SETTING_MAX]; /* "": it was as it should be */
};

static int own_netns = -1;

static bool same_netns(int fd)
{
	struct stat own, other;

	return fstat(own_netns, &own) || fstat(fd, &other) ||
	       (own.st_dev == other.st_dev && own.st_ino == other.st_ino);
}

static void read_setting(const char *path, char value[SETTING_MAX])
{
	FILE *file = fopen(path, "re");

	if (!file || !fgets(value, SETTING_MAX, file))
		value[0] = '\0';
	value[strcspn(value, "\n")] = '\0';
	if (file)
		fclose(file);
}

static void write_setting(const char *path, const char *value)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return;
	fputs(value, file);
	fclose(file);
}

static void change_settings(struct tcp_space *space)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		read_setting(settings[i].path, space->before[i]);
		if (!strcmp(space->before[i], settings[i].value))
			space->before[i][0] = '\0';
		else
			write_setting(settings[i].path, settings[i].value);
	}
}

static void restore_settings(const struct tcp_space *space)
{
	for (size_t i = 0; i < SETTINGS; i++)
		if (space->before[i][0])
			write_setting(settings[i].path, space->before[i]);
}

/* Sockets and settings of a namespace are reached from inside it. */
static bool enter(int netns)
{
	return !setns(netns, CLONE_NEWNET);
}

static void leave(void)
{
	engine_assert(!setns(own_netns, CLONE_NEWNET));
}

static struct mnl_socket *open_diag(void)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);

	if (socket && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(socket);
		return NULL;
	}
	return socket;
}

static struct tcp_space *space_open(int netns)
{
	struct tcp_space *space;
	struct mnl_socket *diag;

	if (!enter(netns))
		return NULL;
	diag = open_diag();
	if (!diag) {
		leave();
		return NULL;
	}
	space = xcalloc(sizeof(*space));
	space->netns = netns;
	space->diag = diag;
	change_settings(space);
	leave();
	return space;
}

void tcp_watch(struct host *host, pid_t pid)
{
	char path[48];
	int netns;

	if (host->tcp)
		return;
	if (own_netns < 0)
		own_netns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	netns = open(path, O_RDONLY | O_CLOEXEC);
	if (netns < 0)
		return;
	/* What the switches and the controller share is no host's own. */
	if (!same_netns(netns))
		host->tcp = space_open(netns);
	if (!host->tcp)
		close(netns);
}

void tcp_forget(struct host *host)
{
	host->tcp_seen = host->tcp_local = false;
	if (!host->tcp)
		return;
	if (enter(host->tcp->netns)) {
		restore_settings(host->tcp);
		leave();
	}
	mnl_socket_close(host->tcp->diag);
	close(host->tcp->netns);
	free(host->tcp);
	host->tcp = NULL;
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

		if (!host->tcp_seen || !host->tcp)
			continue;
		ask(host->tcp->diag, AF_INET, &answer);
		ask(host->tcp->diag, AF_INET6, &answer);
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
