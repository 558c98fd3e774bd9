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
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/sock_diag.h>

#include "engine.h"
#include "host.h"
#include "links.h"
#include "neighbours.h"
#include "netlink.h"
#include "tcp.h"

/* Real time between looks for timeouts, which take a while. */
#define CHECK_EVERY (200 * NSEC_PER_MSEC)

#define TIMER_RETRANSMIT 1
#define TIMER_PROBE 4

/* Of a host's namespace, and what they were before. */
static const struct setting {
	const char *path, *value;
} settings[SETTINGS] = {
	{ "/proc/sys/net/ipv4/tcp_congestion_control", "reno" },
	/* Round trips of earlier connections, in real time. */
	{ "/proc/sys/net/ipv4/tcp_no_metrics_save", "1" },
	/* Part of a window that waits for more to be sent at once, if real time is fast. */
	{ "/proc/sys/net/ipv4/tcp_tso_win_divisor", "100" },
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

static struct mnl_socket *open_socket(int family)
{
	struct mnl_socket *socket = mnl_socket_open2(family, SOCK_CLOEXEC);

	if (socket && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(socket);
		return NULL;
	}
	return socket;
}

static void space_close(struct tcp_space *space)
{
	carrier_forget(space);
	if (space->diag)
		mnl_socket_close(space->diag);
	if (space->route)
		mnl_socket_close(space->route);
	if (space->counters >= 0)
		close(space->counters);
	close(space->netns);
	free(space);
}

static struct tcp_space *space_open(int netns)
{
	struct tcp_space *space;

	if (!enter(netns)) {
		close(netns);
		return NULL;
	}
	space = xcalloc(sizeof(*space));
	space->netns = netns;
	space->slowness = 1;
	space->diag = open_socket(NETLINK_SOCK_DIAG);
	space->route = open_socket(NETLINK_ROUTE);
	tcp_flows_open(space);
	carrier_watch(space);
	if (space->diag && space->route)
		change_settings(space);
	leave();
	if (!space->diag || !space->route) {
		space_close(space);
		return NULL;
	}
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
	if (same_netns(netns))
		close(netns);
	else
		host->tcp = space_open(netns);
}

void tcp_forget(struct host *host)
{
	host->tcp_seen = host->tcp_active = host->tcp_local = false;
	if (!host->tcp)
		return;
	neighbours_forget(host);
	if (host->tcp->slowness > 1)
		tcp_rto_set(host->tcp, 1);
	if (enter(host->tcp->netns)) {
		restore_settings(host->tcp);
		leave();
	}
	space_close(host->tcp);
	host->tcp = NULL;
}

void tcp_note(struct host *host)
{
	if (!host->tcp)
		return;
	engine.tcp_new |= !host->tcp_active;
	host->tcp_active = host->tcp_seen = engine.tcp_seen = true;
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

static void ask(struct mnl_socket *socket, uint8_t family, bool info, mnl_cb_t look,
		void *arg)
{
	char buffer[256];
	struct nlmsghdr *header =
		netlink_request(buffer, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP);
	struct inet_diag_req_v2 *request;

	request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
	request->sdiag_family = family;
	request->sdiag_protocol = IPPROTO_TCP;
	request->idiag_ext = info ? 1u << (INET_DIAG_INFO - 1) : 0;
	request->idiag_states = ~(1u << TCP_LISTEN | 1u << TCP_TIME_WAIT |
				  1u << TCP_CLOSE);
	netlink_list(socket, header, look, arg);
}

void tcp_for_each(struct tcp_space *space, bool info, mnl_cb_t look, void *arg)
{
	ask(space->diag, AF_INET, info, look, arg);
	ask(space->diag, AF_INET6, info, look, arg);
}

bool tcp_pending(void)
{
	engine.tcp_seen = false;
	for (uint32_t i = 0; i < engine.host_count; i++) {
		struct host *host = engine.hosts[i];
		struct answer answer = { 0 };

		if (!host->tcp_seen || !host->tcp)
			continue;
		tcp_for_each(host->tcp, false, look_at, &answer);
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

static void adapt_timeouts(uint32_t slowness)
{
	static uint32_t last = 1;

	if (slowness == last && !engine.tcp_new)
		return;
	last = slowness;
	engine.tcp_new = false;
	for (uint32_t i = 0; i < engine.host_count; i++) {
		struct host *host = engine.hosts[i];

		if (host->tcp_active && host->tcp->slowness != slowness)
			tcp_rto_set(host->tcp, slowness);
	}
}

static void check_flows(int64_t now)
{
	static uint64_t last_tsc;
	static int64_t last_now;
	uint64_t tsc = tsc_now();
	int64_t real = fixed_mul(tsc - last_tsc, engine.ns_per_tsc);

	if (real < CHECK_EVERY)
		return;
	for (uint32_t i = 0; i < engine.host_count; i++) {
		struct host *host = engine.hosts[i];

		if (!host->tcp_active)
			continue;
		host->tcp_active = host->tcp_seen;
		tcp_flows_check(host, now > last_now ? (double)real /
							       (double)(now - last_now) :
						       HUGE_VAL);
	}
	last_tsc = tsc;
	last_now = now;
}

void tcp_adapt(int64_t now, uint32_t slowness)
{
	adapt_timeouts(slowness);
	check_flows(now);
}
