/* SPDX-License-Identifier: MIT */
/* The kernel's questions for neighbours' addresses, which it repeats in real time. */
#ifndef KRONOS_NEIGHBOURS_H
#define KRONOS_NEIGHBOURS_H

#include <stdbool.h>
#include <stdint.h>

struct frame;
struct host;

/* Those that a host has asked for last. */
#define QUESTIONS 8

struct question {
	uint8_t address[16];
	int64_t asked;	/* in virtual time */
	uint64_t tsc;	/* 0: it has been answered */
};

/* The host sends it, or has received it. */
void neighbours_ask(struct host *host, const struct frame *frame);
void neighbours_answer(struct host *host, const struct frame *frame);
/* Until then idle time may be passed over; HEAP_NEVER if the host waits for no answer. */
int64_t neighbours_skip_until(struct host *host);

#endif /* KRONOS_NEIGHBOURS_H */
