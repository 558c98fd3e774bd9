/* SPDX-License-Identifier: MIT */
/* Instructions that tasks execute: they are counted, and a turn ends after so many. */
#ifndef KRONOS_COUNTER_H
#define KRONOS_COUNTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct task;

/* What counts instructions while a task is not stepped. */
struct counter_source {
	const char *name;
	uint64_t margin; /* it may stop a task so many instructions too late */
	bool (*open)(struct task *task);
	void (*close)(struct task *task);
	/* Lets the task run for so many instructions, or up to `margin` more. False:
	 * it has stopped or blocked before, which has been seen to. */
	bool (*approach)(struct task *task, uint64_t count);
	/* How many it has executed since then. By the watchdog, too. */
	uint64_t (*read)(const struct task *task);
};

/* counter_perf.c, and why it does not work here; NULL: it does. */
extern struct counter_source counter_perf;
const char *counter_perf_test(void);

/* For a source's approach(): runs until a trap of the source's, or as it says. */
bool counter_let_go(struct task *task);

/* Finds out what can count. */
void counter_init(void);
bool counter_works(void);
const char *counter_name(void); /* or why there is none */
/* A host wants instructions to be counted, and nothing can: says so. */
bool counter_is_missing(const char *host, uint32_t counter, char *text, size_t size);
void counter_open(struct task *task);
void counter_close(struct task *task);
/*
 * One turn of a task that is ready: lets it run until it has executed so many
 * instructions, or stops or blocks before. Returns how many it has executed.
 */
uint64_t counter_run(struct task *task, uint64_t budget);
/* When it has been charged for: sees to the stop that it has ended with. */
void counter_settle(struct task *task);
/* Of the running turn, until now. */
uint64_t counter_now(void);

#endif /* KRONOS_COUNTER_H */
