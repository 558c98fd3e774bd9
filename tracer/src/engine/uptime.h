/* SPDX-License-Identifier: MIT */
/* /proc/uptime of dilated processes: a file of their own, mounted over it. */
#ifndef KRONOS_UPTIME_H
#define KRONOS_UPTIME_H

#include <sys/types.h>

#include "kronos_abi.h"

struct host;
struct process;
struct task;

/* What the tracer is to do. */
enum kronos_uptime uptime_wanted(const struct host *host, pid_t pid);
/* The tracer has done it, and is about to become its command. */
void uptime_join(struct process *process);
/* The child sees the same file. */
void uptime_share(struct process *child, const struct process *parent);
void uptime_forget(struct process *process);
/*
 * The task is about to make a user namespace, in which it may mount a procfs
 * only if it sees the whole of this one: from now on with the real file.
 */
void uptime_reveal(const struct task *task);
/* The task is about to run: what it can read there is its host's clock. */
void uptime_update(const struct task *task);

#endif /* KRONOS_UPTIME_H */
