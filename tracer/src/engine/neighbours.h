/* SPDX-License-Identifier: MIT */
/* The kernel's questions for neighbours' addresses, repeated in virtual time. */
#ifndef KRONOS_NEIGHBOURS_H
#define KRONOS_NEIGHBOURS_H

#include <stdbool.h>

struct frame;
struct host;
struct tcp_space;

/* An interface has come into a host's namespace. */
void neighbours_configure(struct tcp_space *space, int interface);
/* The host sends a frame. Returns true if it is a question that is repeated already. */
bool neighbours_ask(struct host *host, const struct frame *frame);
/* The host's namespace goes. */
void neighbours_forget(struct host *host);

#endif /* KRONOS_NEIGHBOURS_H */
