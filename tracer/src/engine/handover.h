/* SPDX-License-Identifier: MIT */
/*
 * Tasks of a host that wake each other in turn, as the ends of a pipe do: they hand
 * over to each other within one slice, without the engine in between.
 */
#ifndef KRONOS_HANDOVER_H
#define KRONOS_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define HANDOVERS_MAX 8 /* tasks of a host */

struct host;
struct slice;
struct task;

struct handover {
	int64_t call;	    /* in which it was blocked when it was last woken, */
	uint64_t argument;  /* with this first argument, */
	unsigned int count; /* so often in a row */
	bool on;	    /* it is in its host's list */
	bool socket;	    /* the argument is a socket */
	bool was_free;	    /* when the slice began */
	LIST_ENTRY(task) entry;
};

/* What one of them has had of a slice. */
struct part {
	struct task *task;
	int64_t real;
};

/* It is blocked, or runs, and nothing will stop it before its host's slice ends. */
bool handover_is_free(const struct task *task);
/* It ran when the slice's time was over. */
bool handover_ran_out(const struct task *task);
/* The latch has stopped the task. */
void handover_woken(struct task *task);
/* It ends, executes something else, or is not to be in the list for another reason. */
void handover_forget(struct task *task);
/* Before the slice's task runs, for so many ns at most. */
void handover_open(const struct task *task, int64_t ns);
/* Those that have run in the slice, and blocked where the latch fires: as for its task. */
void handover_blocked(const struct host *host);
/* Divides the real time of a slice; returns the number of parts, at least 1. */
size_t handover_parts(const struct slice *slice, int64_t real,
		      struct part parts[HANDOVERS_MAX + 1]);
/*
 * Outside of the host's slices none of its tasks may run. This stops those that nothing
 * else would stop, in whatever they have blocked; returns false if there are none.
 */
bool handover_stop(struct host *host);
/* The same, and makes them ready. */
bool handover_settle(struct host *host);

#endif /* KRONOS_HANDOVER_H */
