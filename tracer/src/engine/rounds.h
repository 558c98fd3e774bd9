/* SPDX-License-Identifier: MIT */
/* Windows and idle skips. */
#ifndef KRONOS_ROUNDS_H
#define KRONOS_ROUNDS_H

#include <stdbool.h>
#include <stdint.h>

struct host;

/* How many rounds there are until virtual time ends. */
int64_t rounds_most(int64_t timestep);
/* By the first worker, before any of them calls rounds_progress(). */
void rounds_prepare(int64_t timestep, int64_t num_rounds);
int64_t rounds_progress(int until_fd);
/* Ends the progress after its round; async-signal-safe. */
void rounds_interrupt(void);
void rounds_clear_interrupt(void);
bool rounds_interrupted(void);
/* What a frame is stamped with that nobody's slice has sent. */
int64_t rounds_stamp(const struct host *host);
/* The network's clock, and whether any worker is in a window. */
int64_t rounds_now(bool *running);
/* Number of the open window. */
uint32_t rounds_window(void);
/* Wakes this worker. */
int rounds_wake_fd(uint32_t worker);
/* Something will reach a host of this worker then. */
void rounds_announce(uint32_t worker, int64_t time);

#endif /* KRONOS_ROUNDS_H */
