/* SPDX-License-Identifier: MIT */
/*
 * The kernel's TCP of the hosts; private to its files.
 *
 *   tcp.c        namespaces, defaults, timers that are pending
 *   tcp_rto.c    the minimum of the retransmission timeout
 *   tcp_flows.c  timeouts that came because virtual time was slow
 */
#ifndef KRONOS_TCP_H
#define KRONOS_TCP_H

#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <stdbool.h>
#include <stdint.h>

#include "tcp_timers.h"

#define SETTINGS 3
#define SETTING_MAX 32

/* A network namespace that is a host's own. */
struct tcp_space {
	int netns;
	struct mnl_socket *diag;  /* asks for sockets */
	struct mnl_socket *route; /* changes routes */
	int counters;		  /* /proc/net/netstat */
	char before[SETTINGS][SETTING_MAX]; /* "": it was as it should be */
	uint32_t slowness;	  /* that its routes are made for */
	uint64_t timeouts;	  /* so far */
};

/* Calls `look` for each TCP socket; `info`: with struct tcp_info. */
void tcp_for_each(struct tcp_space *space, bool info, mnl_cb_t look, void *arg);
/* Lets timeouts be at least 200 ms * slowness on its routes. */
void tcp_rto_set(struct tcp_space *space, uint32_t slowness);
/* From inside the namespace. */
void tcp_flows_open(struct tcp_space *space);
/* Virtual time was so many times slower than real time since the last look. */
void tcp_flows_check(struct host *host, double slower);

#endif /* KRONOS_TCP_H */
