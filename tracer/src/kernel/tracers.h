// SPDX-License-Identifier: MIT
#pragma once

#include <stdint.h>

#include "kronos_abi.h"

/* A descriptor that is readable when tracers_take() has something to do. */
int tracers_prepare(void);

/* From here on tracers can connect; 0, or a negative errno and a text. */
int64_t tracers_listen(const struct kronos_request *request, struct kronos_reply *reply);

/* Answers those that have asked for their host. */
void tracers_take(void);

/* The number of standalone tracers, when all that are expected have come; -EAGAIN: not in time. */
int64_t tracers_await(int64_t timeout_ms, struct kronos_reply *reply);

/* No tracer finds this engine any more. */
void tracers_refuse(void);
