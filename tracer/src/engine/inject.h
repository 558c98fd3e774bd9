/* SPDX-License-Identifier: MIT */
/* Memory of tasks; the clock page and the replaced vDSO in them. */
#ifndef KRONOS_INJECT_H
#define KRONOS_INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct process;
struct task;

int task_read(const struct task *task, uint64_t address, void *data, size_t size);
int task_write(const struct task *task, uint64_t address, const void *data,
	       size_t size);
/* Its memory as a file, to be closed, for what the task itself may not write; or -1. */
int task_open_memory(const struct task *task);
bool memory_write(int memory, uint64_t address, const void *data, size_t size);
void inject_init(void);
/* Address of a timespec, relative or absolute, that never comes; 0: there is none. */
uint64_t inject_forever(const struct process *process);
/* At the exit of an exec: puts in the clock page and replaces the vDSO. */
void inject_clock(struct task *task);
/* The child has its parent's clock page, until one of them calls exec or ends. */
void inject_share(struct process *child, const struct process *parent);
void inject_forget(struct process *process);

#endif /* KRONOS_INJECT_H */
