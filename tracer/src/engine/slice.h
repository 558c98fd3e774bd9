/* SPDX-License-Identifier: MIT */
/* One turn of one task. */
#ifndef KRONOS_SLICE_H
#define KRONOS_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host;
struct task;

/* The running slice, shared with the watchdog under engine.lock. */
struct slice {
	struct host *host; /* NULL: none runs */
	struct host *last; /* whose the last one was */
	struct task *task;
	int64_t base;	   /* the host's clock at its start */
	uint32_t shares;   /* tasks that would run at once: its clock is so much slower */
	uint64_t mult;	   /* as the host's, for this slice */
	uint64_t tsc_start;
	uint64_t tsc_end;  /* when the watchdog cuts it */
	int64_t cap;	   /* the host's clock may not pass this */
	uint64_t due;	   /* when the timer was to go off that ended it */
	unsigned int put_off; /* times that this has been put off */
	uint64_t cut;	   /* when the watchdog ended it, or 0 */
	struct task *runner; /* who was running then, if it is known */
	bool handed;	   /* others have been demoted, too: see handover.h */
	bool demoted;	   /* and, to no avail, taken its priority away */
	bool long_call;	   /* since a system call went on for long */
};

/* One turn of a task, until `limit` on its host's clock at the latest. */
void slice_run(struct task *task, int64_t limit);
/* Virtual time of `tsc` in the running slice. */
int64_t slice_time(const struct slice *slice, uint64_t tsc);

/* The running slice was held up so long; under engine.lock. */
void slice_exclude(uint64_t ticks);

#endif /* KRONOS_SLICE_H */
