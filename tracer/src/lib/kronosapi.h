/* SPDX-License-Identifier: MIT */
/* What the parts of libkronosapi share. */
#ifndef KRONOSAPI_H
#define KRONOSAPI_H

#include <stdbool.h>

#include "Kronos_functions.h"

extern const char no_experiment[];

/* One line on standard error. Returns -1, for the caller to do so. */
int complain(const char *function, const char *what);
/* Whether this process has called initializeExp(), and registerTracer(). */
bool is_orchestrator(void);
bool is_own_tracer(void);
s64 own_tracer_time(int tracer_id);

#endif /* KRONOSAPI_H */
