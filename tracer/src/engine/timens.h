/* SPDX-License-Identifier: MIT */
/* Time namespaces: what they add to clocks. */
#ifndef KRONOS_TIMENS_H
#define KRONOS_TIMENS_H

#include <stdint.h>

struct process;

/* Beyond what the engine's own namespace adds, in ns. */
struct timens {
	int64_t monotonic, boottime;
};

/* Finds out what the namespace adds that the process is in. */
void timens_look(struct process *process);
/* A process has made another one, with these flags of clone(). */
void timens_fork(struct process *child, const struct process *parent, uint64_t flags);
void timens_exec(struct process *process);

#endif /* KRONOS_TIMENS_H */
