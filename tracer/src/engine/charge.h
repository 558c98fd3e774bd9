/* SPDX-License-Identifier: MIT */
/* What a host is charged for a slice. */
#ifndef KRONOS_CHARGE_H
#define KRONOS_CHARGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host;
struct slice;
struct task;

extern uint64_t charge_enter_ticks; /* from the look at the TSC to user code */

/* Measures what a stop costs; 0, or says in `why` what keeps tasks from being traced. */
int charge_init(char *why, size_t size);
/* The slice has ended, or reached `limit`, when the engine looked at the TSC at `end`. */
void charge(const struct slice *slice, int64_t limit, uint64_t end);
/* For instructions; what else the slice has cost in real time does not matter. */
void charge_counted(const struct slice *slice, uint64_t count);
/* How long the host's clock takes for so many of them; what is left of a ns. */
int64_t charge_instructions_ns(const struct slice *slice, uint64_t count, uint32_t *rest);
/* Has the host computed for so long in no virtual time that its clock goes on, with
 * real time? */
bool charge_burst_is_over(const struct host *host);
/* What the task has last read of the clock: its host's cannot be earlier. */
int64_t charge_clock_read(const struct task *task, int64_t base);

#endif /* KRONOS_CHARGE_H */
