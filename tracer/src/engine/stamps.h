/* SPDX-License-Identifier: MIT */
/* Stamps of packets (stamps.c), and those in packet sockets' rings (rings.c). */
#ifndef KRONOS_STAMPS_H
#define KRONOS_STAMPS_H

#include <stdint.h>

struct host;
struct process;
struct task;

void stamps_init(void);
/* From now on the host's packets are known by their real times. */
void stamps_watch(struct host *host);
/* Around what the kernel may stamp packets in; from `clock` on to the host's clock. */
int64_t stamps_begin(const struct host *host);
void stamps_end(struct host *host, int64_t real, int64_t clock);
/* CLOCK_REALTIME of the host when the kernel's was `real`, in units of so many ns. */
int64_t stamps_virtual(const struct host *host, int64_t real, int64_t unit);
/* A task that sees stamps enters a system call. */
void stamps_enter(struct task *task);
/* Replaces the stamps in rings that the task may read now. */
void rings_stamp(struct task *task);
void rings_forget(struct process *process);

#endif /* KRONOS_STAMPS_H */
