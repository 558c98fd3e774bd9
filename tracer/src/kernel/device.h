// SPDX-License-Identifier: MIT
#pragma once

#include <stdint.h>

#include "kronos_abi.h"
#include "kronos_module.h"

/* Opens the device and begins the experiment; 0, or a negative errno and a text. */
int64_t device_open(struct kronos_reply *reply);

/* The experiment ends. */
void device_close(void);

/* A request of kronos_module.h; its result, or a negative errno. */
int64_t device_call(unsigned long request, void *argument);

/* Says in the reply what went wrong; returns the error. */
int64_t failed(struct kronos_reply *reply, int64_t error, const char *what);
