/* SPDX-License-Identifier: MIT */
/* Pseudo-terminals, which the kernel serves in real time. */
#ifndef KRONOS_PTY_H
#define KRONOS_PTY_H

#include <stdbool.h>

struct host;

/* A task of the host has made one. */
void pty_opened(struct host *host);
/* Nobody in the host is ready: waits until what was written has arrived; true
 * if somebody is ready then. */
bool pty_settle(struct host *host);

#endif /* KRONOS_PTY_H */
