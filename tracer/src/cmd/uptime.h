/* SPDX-License-Identifier: MIT */
/* Mounts a file of this process' mount namespace over /proc/uptime, for the engine. */
#ifndef KRONOS_CMD_UPTIME_H
#define KRONOS_CMD_UPTIME_H

#include "kronos_abi.h"

/* Returns false with errno set if it cannot be done. */
bool uptime_mount(enum kronos_uptime how);

#endif /* KRONOS_CMD_UPTIME_H */
