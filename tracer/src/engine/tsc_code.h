/* SPDX-License-Identifier: MIT */
/* rdtsc and rdtscp in code. */
#ifndef KRONOS_TSC_CODE_H
#define KRONOS_TSC_CODE_H

#include <stddef.h>
#include <stdint.h>

#define RDTSC_SIZE 2
#define RDTSCP_SIZE 3

struct task;

/* The length of the instruction, 0: it is none of the two. */
size_t tsc_instruction(const uint8_t *code, size_t size);
/* The first place from `code` on where one may be, or `end`. Reads 16 bytes beyond. */
const uint8_t *tsc_find(const uint8_t *code, const uint8_t *end);
/* Does it for the task, whose instruction pointer is at it, and has this length. */
void tsc_execute(struct task *task, struct user_regs_struct *regs, size_t length);

#endif /* KRONOS_TSC_CODE_H */
