/* SPDX-License-Identifier: MIT */
/* Ids of processes and threads as programs in other pid namespaces see them. */
#ifndef KRONOS_PIDS_H
#define KRONOS_PIDS_H

#include <stdint.h>
#include <sys/types.h>

struct process;
struct task;

/* A tracer's process, which may be in another namespace than the engine. */
void pids_join(struct process *process);
/* A process has made another one, with these flags of clone(). */
void pids_fork(struct process *child, struct process *parent, uint64_t flags);
/* The dilated task, if it is one, that `asker` knows by this id; 0: itself. */
struct task *pids_task(struct task *asker, pid_t id);
/* What to tell one who would change a process of which pids_task() knows nothing. */
int64_t pids_refusal(const struct task *asker, pid_t id);

#endif /* KRONOS_PIDS_H */
