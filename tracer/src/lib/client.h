/* SPDX-License-Identifier: MIT */
/* libkronos: an experiment as its files see it. */
#ifndef KRONOS_CLIENT_H
#define KRONOS_CLIENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kronos_abi.h"

struct kronos {
	pid_t engine;
	int control;
	enum kronos_engine kind;
	char socket[108];
	char mechanisms[KRONOS_ERROR_MAX];
	char error[KRONOS_ERROR_MAX];
};

/* For libkronos' own files. */
#pragma GCC visibility push(hidden)
extern char kronos_start_error[KRONOS_ERROR_MAX]; /* of an experiment that there is not */

/* Asks the engine, with so many descriptors; returns its result, and why it is below 0
 * in k->error. `reply` may be NULL. */
int64_t kronos_call(struct kronos *k, const struct kronos_request *request, const int *fds,
		    size_t count, struct kronos_reply *reply);
#pragma GCC visibility pop

#endif /* KRONOS_CLIENT_H */
