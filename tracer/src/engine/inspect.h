/* SPDX-License-Identifier: MIT */
/* Where hosts and tasks stand, and who is waited for. */
#ifndef KRONOS_INSPECT_H
#define KRONOS_INSPECT_H

#include <stdbool.h>
#include <stdint.h>

#include "kronos_abi.h"

struct task;

/* 1, 0 if there is nothing here to tell, or a negative errno. */
int inspect_host(uint32_t id, struct kronos_host_status *status);
int inspect_task(uint32_t id, int64_t number, struct kronos_task *info);

/* From now on virtual time should move. */
void stall_restart(void);
/* Real time until a line says why it does not; INT64_MAX: one has. */
int64_t stall_left(void);
/* While this task is waited for: says so if it is time to. */
void stall_check(const struct task *task);
/* Gives up waiting for those that have registered and not begun their command. */
void give_up_joining(void);
/* Nothing is due: names a task of this worker that waits; false if it has none. */
bool stall_tell_idle(void);

#endif /* KRONOS_INSPECT_H */
