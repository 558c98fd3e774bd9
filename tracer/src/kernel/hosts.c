// SPDX-License-Identifier: MIT
/* The hosts of the experiment: their names, their clocks, their end. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "hosts.h"

#define FREE_READ_COST 100 /* ns, as in the user engine: loops on the clock end */

/* The hosts' names by their ids, from 1. */
static char (*names)[KRONOS_NAME_MAX];
static uint32_t host_count;

uint32_t host_find(const char *name)
{
	for (uint32_t i = 0; i < host_count; i++)
		if (!strcmp(names[i], name))
			return i + 1;
	return 0;
}

int64_t host_add(const struct kronos_host_config *config, struct kronos_reply *reply)
{
	bool free_work = config->counter == KRONOS_COUNTER_FREE ||
			 isinf(config->cpu_speed);
	struct kronos_host host = {
		.size = sizeof(host),
		.pace = config->pace == KRONOS_PACE_INSTANT ? KRONOS_MODULE_INSTANT :
							      KRONOS_MODULE_DILATED,
		.counter = free_work ? KRONOS_MODULE_WORK_FREE :
			   config->counter == KRONOS_COUNTER_INSTRUCTIONS ?
				       KRONOS_MODULE_INSTRUCTIONS :
				       KRONOS_MODULE_CPUTIME,
		.cores = config->cores,
		.cost = free_work ? FREE_READ_COST : (uint64_t)(0x1p32 / config->cpu_speed),
	};
	int64_t id;

	if (host_find(config->name)) {
		snprintf(reply->text, sizeof(reply->text),
			 "there is a host %s already", config->name);
		return -EEXIST;
	}
	if (config->pace == KRONOS_PACE_REALTIME) {
		snprintf(reply->text, sizeof(reply->text),
			 "%s: the kernel engine has no pace 'realtime'; fix: "
			 "pace='instant'",
			 config->name);
		return -EOPNOTSUPP;
	}
	memcpy(host.name, config->name, sizeof(host.name));
	id = device_call(KRONOS_IOC_ADD_HOST, &host);
	if (id == -EOPNOTSUPP) {
		snprintf(reply->text, sizeof(reply->text),
			 "%s: no working instruction counter on this machine; fix: "
			 "counter='cputime' or 'free'",
			 config->name);
		return id;
	}
	if (id < 0)
		return failed(reply, id, config->name);
	names = realloc(names, (size_t)id * sizeof(*names));
	if (!names)
		abort();
	memcpy(names[id - 1], config->name, sizeof(*names));
	host_count = (uint32_t)id;
	return id;
}

static int64_t read_clock(uint32_t host, int32_t tid, struct kronos_clock *clock,
			  struct kronos_reply *reply)
{
	int64_t result;

	*clock = (struct kronos_clock){
		.size = sizeof(*clock), .host = host, .tid = tid
	};
	result = device_call(KRONOS_IOC_CLOCK, clock);
	if (result < 0)
		return failed(reply, result, tid ? "no dilated task" : "unknown host");
	return clock->now_ns;
}

/*
 * What a task does inside the kernel cannot be cut: its host may have run past
 * the round, and waits for it in the next ones. What it sees is the round's end.
 */
int64_t host_clock(uint32_t host, struct kronos_reply *reply)
{
	struct kronos_clock clock;
	int64_t now = read_clock(0, 0, &clock, reply);
	int64_t own = host ? read_clock(host, 0, &clock, reply) : now;

	return own < now ? own : now;
}

int64_t task_clock(int32_t tid, struct kronos_reply *reply)
{
	struct kronos_clock clock;

	return read_clock(0, tid, &clock, reply);
}

int64_t host_stats(uint32_t host, struct kronos_reply *reply)
{
	struct kronos_clock clock;
	int64_t result = read_clock(host, 0, &clock, reply);

	reply->host_stats = (struct kronos_host_stats){
		.cpu_ns = (uint64_t)clock.work_ns,
		.slices = clock.slices,
		.tasks = clock.tasks,
	};
	return result < 0 ? result : 0;
}

int64_t host_kill(uint32_t host, struct kronos_reply *reply)
{
	struct kronos_kill kill = { .size = sizeof(kill), .host = host };
	int64_t result = device_call(KRONOS_IOC_KILL, &kill);

	return result < 0 ? failed(reply, result, "cannot end the host") : 0;
}

int64_t host_remove(uint32_t host, struct kronos_reply *reply)
{
	int64_t result = host_kill(host, reply);

	if (result == 0)
		names[host - 1][0] = '\0';
	return result;
}
