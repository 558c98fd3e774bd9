/* SPDX-License-Identifier: MIT */
/* The second thread: ends slices, and stamps the frames that they send. */
#ifndef KRONOS_WATCHDOG_H
#define KRONOS_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

void watchdog_start(void);
/* Makes sure that the watchdog looks at the slice when it ends. Returns true if a
 * timer had to be set, which delays the end by `delay`. */
bool watchdog_arm(uint64_t tsc_end, uint64_t delay);
/* After a slice that ends there, if it is cut, one of so many ticks is likely to
 * follow. `delay` is what it took to set this one's timer. */
void watchdog_expect(uint64_t tsc_end, uint64_t delay, uint64_t next_ticks);
void watchdog_watch_tap(int fd, void *port);
/* Sets engine.carrier_changed when there is something to be read. */
void watchdog_watch_carrier(int fd);
/* Ends this process when the other end of the socket is gone. */
void watchdog_watch_control(int fd);
void watchdog_forget(int fd);

#endif /* KRONOS_WATCHDOG_H */
