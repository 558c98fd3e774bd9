// SPDX-License-Identifier: MIT
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kronos_abi.h"

/* Each returns a negative errno, and says in the reply what is wrong, if it fails. */

void rounds_prepare(void);

/* Waits for the tracers that are expected (timeout_ms < 0: as long as it takes); how many there are. */
int64_t rounds_freeze(int64_t timeout_ms, int64_t epoch, struct kronos_reply *reply);
int64_t rounds_thaw(struct kronos_reply *reply);
bool rounds_frozen(void);

/* The number of rounds that were done; fewer than asked if until_fd or a watched one is readable. */
int64_t rounds_progress(const struct kronos_request *request, int until_fd,
			struct kronos_reply *reply);
int64_t rounds_stats(struct kronos_reply *reply);

/* Progress ends in the round in which the descriptor, which is taken, is readable; its number. */
int64_t rounds_watch(int *fd);
int64_t rounds_unwatch(int fd);
