/* SPDX-License-Identifier: MIT */
/* Tasks that sleep in the ptrace stop in which they have begun to. */
#ifndef KRONOS_PARK_H
#define KRONOS_PARK_H

#include <stdbool.h>

struct host;
struct task;

/* Instead of letting the task, which stands at the entry of its sleep, into the
 * kernel; false if it must be let in. */
bool park(struct task *task);
/* It has stopped otherwise, or is gone. */
void park_forget(struct task *task);
/* Its sleep is over: makes it ready. */
void park_wake(struct task *task);
/* Lets those of the host, or all, into the kernel: signals reach them there. */
void park_end_of(const struct host *host);
void park_end_all(void);
/* The same for those that have been parked for long in real time. */
void park_look(void);

#endif /* KRONOS_PARK_H */
