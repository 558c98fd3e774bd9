// SPDX-License-Identifier: MIT
/*
 * See turns.h. Whoever has received least CPU time is the next, of equals who came
 * first. So tasks that wait for each other all the time get as much as one that never
 * waits. Where computing takes no virtual time all are equal.
 */
#include <sys/queue.h>

#include "engine.h"
#include "host.h"
#include "task.h"
#include "turns.h"

/* A task that only stops, and never blocks, lets others of its host run too. */
#define TURN (200 * NSEC_PER_USEC)

/*
 * What it did not want while it waited it does not get later, but for one turn. One
 * that is new has not waited: many short ones must not keep others from running.
 */
static void catch_up(struct task *task)
{
	int64_t least = task->host->received - (task->received ? TURN : 0);

	if (task->received < least)
		task->received = least;
}

/* Who was woken has received little, who has run much: each is near one of the ends. */
static void insert_from_front(struct task *task)
{
	struct task_queue *queue = &task->host->ready;
	struct task *other;

	TAILQ_FOREACH(other, queue, ready_entry) {
		if (other->received > task->received) {
			TAILQ_INSERT_BEFORE(other, task, ready_entry);
			return;
		}
	}
	TAILQ_INSERT_TAIL(queue, task, ready_entry);
}

static void insert_from_back(struct task *task)
{
	struct task_queue *queue = &task->host->ready;
	struct task *other;

	TAILQ_FOREACH_REVERSE(other, queue, task_queue, ready_entry) {
		if (other->received <= task->received) {
			TAILQ_INSERT_AFTER(queue, other, task, ready_entry);
			return;
		}
	}
	TAILQ_INSERT_HEAD(queue, task, ready_entry);
}

void turns_enter(struct task *task, bool goes_on)
{
	bool has_run = engine.slice.task == task;

	if (goes_on && task->turn < TURN) {
		TAILQ_INSERT_HEAD(&task->host->ready, task, ready_entry);
		return;
	}
	task->turn = 0;
	if (has_run) {
		insert_from_back(task);
	} else {
		catch_up(task);
		insert_from_front(task);
	}
}

void turns_leave(struct task *task)
{
	TAILQ_REMOVE(&task->host->ready, task, ready_entry);
}

void turns_charge(struct task *task, int64_t ns)
{
	struct host *host = task->host;
	const struct task *first = TAILQ_FIRST(&host->ready);
	int64_t least;

	if (!host->mult)
		return;
	task->received += ns;
	least = first && first->received < task->received ? first->received :
							    task->received;
	if (host->received < least)
		host->received = least;
}
