/* SPDX-License-Identifier: MIT */
/* Virtual clocks that programs read. */
#ifndef KRONOS_CLOCKS_H
#define KRONOS_CLOCKS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct process;
struct task;

/* Under the free counter: what a clock read and a yield cost, in ns. */
#define FREE_READ_COST 100
#define FREE_YIELD_COST 1000

/* A real clock of the machine's, in ns. */
int64_t real_clock(clockid_t clock);
/* In free mode reading a clock costs a little. */
int64_t read_clock(struct task *task);
/* Offset of a virtual clock, as the process sees it, to its host's CLOCK_MONOTONIC;
 * false if it is not virtual. */
bool clock_offset(const struct process *process, int64_t clock, int64_t *offset);
/* False for clocks that can only be read; the kernel says so to those who wait on them. */
bool clock_waits(int64_t clock);

#endif /* KRONOS_CLOCKS_H */
