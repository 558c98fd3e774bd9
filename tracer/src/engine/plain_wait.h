/* SPDX-License-Identifier: MIT */
/* Waits that can be interrupted and begun again, and nobody can tell. */
#ifndef KRONOS_PLAIN_WAIT_H
#define KRONOS_PLAIN_WAIT_H

#include <stdbool.h>
#include <stdint.h>

struct host;
struct task;
struct user_regs_struct;

/* Whether the call that has just returned was one; and on a socket. */
bool plain_wait(const struct task *task, const struct user_regs_struct *regs, bool *socket);
/* Whether such a call may block now without the engine's looking at it. */
bool plain_wait_may_pass(const struct host *host, int64_t call, bool socket);

#endif /* KRONOS_PLAIN_WAIT_H */
