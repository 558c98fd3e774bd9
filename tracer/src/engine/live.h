/* SPDX-License-Identifier: MIT */
/* Real time: before the freeze and after a thaw, and what comes from outside. */
#ifndef KRONOS_LIVE_H
#define KRONOS_LIVE_H

#include <stdbool.h>
#include <stdint.h>

/* Something may have happened outside: tracers, stops, frames. Returns true if so. */
bool look_outside(void);
/* Sleeps until something happens outside, at most so many ns; < 0: for as long as it takes. */
void await_outside(int64_t ns);
/* The same, when nothing is to be done for the hosts meanwhile. */
void sleep_outside(int64_t ns);
/* Does what is due, or waits for it for so long at most. */
void live_run(int timeout_ms);
/* Real time on the axis of the hosts' clocks, before the freeze and after a thaw. */
int64_t live_now(void);
/* Waits until every tracer that has been seized stands at its exec. */
void live_await_tracers(void);
/* The clock at which a freeze can take place now. */
int64_t live_freeze_time(void);
void live_freeze(int64_t time);
void live_thaw(uint64_t tsc);

#endif /* KRONOS_LIVE_H */
