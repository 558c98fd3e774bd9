// SPDX-License-Identifier: MIT
#pragma once

#include <stdint.h>

#include "kronos_abi.h"
#include "kronos_module.h"

/* Each returns a negative errno, and says in the reply what is wrong, if it fails. */

/* The new host's id, from 1. */
int64_t host_add(const struct kronos_host_config *config, struct kronos_reply *reply);

/* The id of the host with this name, 0: there is none. */
uint32_t host_find(const char *name);

/* The time that the host sees, in ns since the freeze; 0: that of all. */
int64_t host_clock(uint32_t host, struct kronos_reply *reply);

/* The time that a dilated task sees. */
int64_t task_clock(int32_t tid, struct kronos_reply *reply);

int64_t host_stats(uint32_t host, struct kronos_reply *reply);

/* Ends every task of the host. */
int64_t host_kill(uint32_t host, struct kronos_reply *reply);

/* And gives its name free. */
int64_t host_remove(uint32_t host, struct kronos_reply *reply);
