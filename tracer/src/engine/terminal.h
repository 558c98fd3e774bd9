/* SPDX-License-Identifier: MIT */
/* Terminals of hosts that somebody types at. */
#ifndef KRONOS_TERMINAL_H
#define KRONOS_TERMINAL_H

#include <stdint.h>

struct task;

/*
 * From now on fd, an eventfd, is readable while a task of the host waits for
 * nothing but what is typed at this terminal, the device number of its slave.
 * A host has one at a time.
 */
int terminal_watch(uint32_t host, int64_t device, int fd);
/* The task has blocked; it is ready again, or gone. */
void terminal_blocked(struct task *task);
void terminal_left(struct task *task);

#endif /* KRONOS_TERMINAL_H */
