// SPDX-License-Identifier: MIT
/*
 * Tells of flows that the kernel's real-time timers have made retransmit while
 * virtual time was slower than these timers had been made for (pace.c): their
 * throughput may be less than the model's.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/tcp.h>

#include "engine.h"
#include "host.h"
#include "tcp.h"

#define SLOWER_THAN_MADE_FOR 1.5
#define COUNTERS_MAX 16384

/* The value below a name in the table of two lines. */
static uint64_t read_timeouts(int fd)
{
	char text[COUNTERS_MAX], *names, *values, *name, *value, *rest[2];
	ssize_t size = pread(fd, text, sizeof(text) - 1, 0);

	if (size <= 0)
		return 0;
	text[size] = '\0';
	names = strtok_r(text, "\n", &rest[0]);
	values = strtok_r(NULL, "\n", &rest[0]);
	if (!names || !values)
		return 0;
	name = strtok_r(names, " ", &rest[0]);
	value = strtok_r(values, " ", &rest[1]);
	while (name && value && strcmp(name, "TCPTimeouts")) {
		name = strtok_r(NULL, " ", &rest[0]);
		value = strtok_r(NULL, " ", &rest[1]);
	}
	return name && value ? strtoull(value, NULL, 10) : 0;
}

void tcp_flows_open(struct tcp_space *space)
{
	space->counters = open("/proc/thread-self/net/netstat", O_RDONLY | O_CLOEXEC);
	space->timeouts = read_timeouts(space->counters);
}

/* The flow that has retransmitted most. */
struct suspect {
	struct inet_diag_msg message;
	uint32_t retransmitted;
};

static int suspect_flow(const struct nlmsghdr *header, void *arg)
{
	const struct inet_diag_msg *message = mnl_nlmsg_get_payload(header);
	struct suspect *suspect = arg;
	const struct nlattr *attribute;
	struct tcp_info info = { 0 };
	size_t size;

	mnl_attr_for_each(attribute, header, sizeof(*message)) {
		if (mnl_attr_get_type(attribute) != INET_DIAG_INFO)
			continue;
		size = mnl_attr_get_payload_len(attribute);
		memcpy(&info, mnl_attr_get_payload(attribute),
		       size < sizeof(info) ? size : sizeof(info));
	}
	if (info.tcpi_total_retrans > suspect->retransmitted) {
		suspect->message = *message;
		suspect->retransmitted = info.tcpi_total_retrans;
	}
	return MNL_CB_OK;
}

static void name_flow(const struct suspect *suspect, char *text, size_t size)
{
	const struct inet_diag_sockid *id = &suspect->message.id;
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];

	if (!suspect->retransmitted) {
		snprintf(text, size, "a connection that has ended");
		return;
	}
	inet_ntop(suspect->message.idiag_family, id->idiag_src, from, sizeof(from));
	inet_ntop(suspect->message.idiag_family, id->idiag_dst, to, sizeof(to));
	snprintf(text, size, "%s port %u to %s port %u", from, ntohs(id->idiag_sport),
		 to, ntohs(id->idiag_dport));
}

void tcp_flows_check(struct host *host, double slower)
{
	static bool warned;
	struct tcp_space *space = host->tcp;
	struct suspect suspect = { 0 };
	uint64_t before = space->timeouts;
	char flow[128];

	space->timeouts = read_timeouts(space->counters);
	if (warned || space->timeouts <= before ||
	    slower < SLOWER_THAN_MADE_FOR * space->slowness)
		return;
	warned = true;
	tcp_for_each(space, true, suspect_flow, &suspect);
	name_flow(&suspect, flow, sizeof(flow));
	engine_warn("TCP of %s (%s) has retransmitted while virtual time was %.1f "
		    "times slower than real time, which its timers follow: its "
		    "throughput may be too low (docs/limits.md; said once)",
		    host->name, flow, slower);
}
