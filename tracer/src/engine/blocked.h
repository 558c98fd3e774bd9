/* SPDX-License-Identifier: MIT */
/* Tasks that have blocked, and how long virtual time waits for those that wait for a disk. */
#ifndef KRONOS_BLOCKED_H
#define KRONOS_BLOCKED_H

#include <stdbool.h>
#include <sys/types.h>

struct host;
struct task;

/* Its turn is over, and it goes on with a call that computes for long. */
void blocked_in_call(struct task *task);
/* The task's turn is over, if it has not stopped or ended. */
void blocked_begin(pid_t tid);
/* What the latch cannot stop is to stop if it has blocked: something will wake it. */
void blocked_watch(struct task *task);
/* It has stopped, or is gone. */
void blocked_forget(struct task *task);
/* Do some that waited for a disk wait for something else by now? */
void blocked_look(void);
/* The host waits for a disk, and virtual time stands meanwhile. */
bool blocked_holds(const struct host *host);
/* Then: until one of its tasks is ready, or time is to go on. */
void blocked_await(struct host *host);
/* Some task of this worker still waits: time may not be faster than real time. */
bool blocked_outlast(void);

#endif /* KRONOS_BLOCKED_H */
