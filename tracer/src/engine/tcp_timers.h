/* SPDX-License-Identifier: MIT */
/* The kernel's TCP timers, which stay in real time (tcp.h has the rest). */
#ifndef KRONOS_TCP_TIMERS_H
#define KRONOS_TCP_TIMERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct host;

/* The host's namespace is that of this process. */
void tcp_watch(struct host *host, pid_t pid);
void tcp_forget(struct host *host);
/* A task of the host connects a socket of this family. */
void tcp_connect(struct host *host, int family);
/* The host sends or receives a TCP frame. */
void tcp_note(struct host *host);
/* Whether some host waits for a retransmission or a probe. */
bool tcp_pending(void);
/*
 * Between windows: virtual time is `now`, and so many times slower than real
 * time. Makes timeouts as much longer, and tells of those that came too early.
 */
void tcp_adapt(int64_t now, uint32_t slowness);

#endif /* KRONOS_TCP_TIMERS_H */
