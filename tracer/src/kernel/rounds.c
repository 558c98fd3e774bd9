// SPDX-License-Identifier: MIT
/* Freezing, thawing, and progress in rounds. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "device.h"
#include "rounds.h"
#include "tracers.h"
#include "watch.h"

static bool frozen;
static int watched; /* an epoll of what ends a progress */

void rounds_prepare(void)
{
	struct epoll_event hangup = { .events = 0 };

	watched = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(watched, EPOLL_CTL_ADD, KRONOS_CONTROL_FD, &hangup);
}

bool rounds_frozen(void)
{
	return frozen;
}

int64_t rounds_freeze(int64_t timeout_ms, int64_t epoch, struct kronos_reply *reply)
{
	struct kronos_freeze freeze = {
		.size = sizeof(freeze),
		.timeout_ns = -1,
		.epoch_ns = epoch,
	};
	int64_t result, joined = tracers_await(timeout_ms, reply);

	if (joined < 0)
		return joined;
	result = device_call(KRONOS_IOC_FREEZE, &freeze);
	if (result < 0)
		return failed(reply, result, "the module cannot freeze");
	frozen = true;
	return joined;
}

int64_t rounds_thaw(struct kronos_reply *reply)
{
	int64_t result = frozen ? device_call(KRONOS_IOC_THAW, NULL) : 0;

	if (result < 0)
		return failed(reply, result, "the module cannot thaw");
	frozen = false;
	return 0;
}

int64_t rounds_watch(int *fd)
{
	int kept = *fd;

	if (kept < 0)
		return -EBADF;
	*fd = -1;
	watch_in(watched, EPOLL_CTL_ADD, kept);
	return kept;
}

int64_t rounds_unwatch(int fd)
{
	watch_in(watched, EPOLL_CTL_DEL, fd);
	close(fd);
	return 0;
}

int64_t rounds_progress(const struct kronos_request *request, int until_fd,
			struct kronos_reply *reply)
{
	struct kronos_progress progress = {
		.size = sizeof(progress),
		.until_fd = watched,
		.timestep_ns = request->arg[0],
		.rounds = request->arg[1],
	};
	const char *wrong = !frozen ? "not frozen: synchronize and freeze first" :
			    request->arg[0] <= 0 ? "timestep must be above 0" :
			    request->arg[1] < 0 ?
						 "number of rounds must not be negative" :
						 NULL;
	int64_t result;

	if (wrong) {
		snprintf(reply->text, sizeof(reply->text), "%s", wrong);
		return -EINVAL;
	}
	tracers_take();
	if (!request->arg[1])
		return 0;
	if (request->has_fd)
		watch_in(watched, EPOLL_CTL_ADD, until_fd);
	result = device_call(KRONOS_IOC_PROGRESS, &progress);
	if (request->has_fd)
		watch_in(watched, EPOLL_CTL_DEL, until_fd);
	return result < 0 ? failed(reply, result, "the module cannot progress") :
			    progress.done;
}

int64_t rounds_stats(struct kronos_reply *reply)
{
	struct kronos_module_stats stats = { .size = sizeof(stats) };
	int64_t result = device_call(KRONOS_IOC_STATS, &stats);

	reply->stats = (struct kronos_stats){
		.rounds = stats.rounds,
		.rounds_skipped = stats.rounds_skipped,
		.slices = stats.slices,
		.stops = stats.cuts,
		.hosts = stats.hosts,
		.tasks = stats.tasks,
	};
	return result;
}
