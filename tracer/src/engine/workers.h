/* SPDX-License-Identifier: MIT */
/* The other processes of an engine with several CPUs. */
#ifndef KRONOS_WORKERS_H
#define KRONOS_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

#include "kronos_abi.h"

#define WORKERS_MAX 64

/* Starts one process for each CPU but the first; they serve and do not return. */
void workers_start(const int *cpus, void (*serve)(void));
/* The first one ends when another does. */
void workers_watch(void);
/* Whether all workers must do this, and not the first alone. */
bool workers_concern(uint32_t op);
void workers_send(const struct kronos_request *request, const int *fds);
/*
 * Waits for their replies; adds up what they have counted, and returns what the
 * one has returned that alone knows.
 */
int64_t workers_await(const struct kronos_request *request, struct kronos_reply *reply);
/* Lets the host's worker serve a tracer that has connected. */
void workers_send_join(uint32_t worker, const struct kronos_register *join, int fd);
/* By any worker but the first: takes such a tracer; false if there is none. */
bool workers_take_join(struct kronos_register *join, int *fd);
/* Ends the others, which have no tasks any more. */
void workers_stop(void);

#endif /* KRONOS_WORKERS_H */
