// SPDX-License-Identifier: MIT
/*
 * The kernel engine's upper half: a process that owns /dev/kronos for one
 * experiment, and answers the orchestrator and the tracers in the words of
 * kronos_abi.h, as the user engine does. Time, rounds and turns are the
 * module's (kernel_module/). When the orchestrator dies this process ends, and
 * with its descriptor the experiment: the machine's clock runs free again.
 *
 * It must never wait for a timer: those stand while the clock is frozen.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/messages.h"
#include "device.h"
#include "hosts.h"
#include "rounds.h"
#include "tracers.h"

static char *abort_script;
static int64_t epoch;

static int64_t initialize(const struct kronos_request *request,
			  struct kronos_reply *reply)
{
	struct kronos_info info = { .size = sizeof(info) };
	int64_t result = device_open(reply);

	if (result == 0)
		result = tracers_listen(request, reply);
	if (result < 0)
		return result;
	epoch = request->init.epoch_ns;
	device_call(KRONOS_IOC_INFO, &info);
	snprintf(reply->text, sizeof(reply->text),
		 "kernel engine on %u CPUs: the clock of the whole machine is "
		 "virtual; %s; rdtsc %s; links are the kernel's",
		 info.cpus,
		 info.features & KRONOS_FEATURE_INSTRUCTIONS ?
			 "instruction, cputime and free counters" :
			 "cputime and free counters (no working PMU)",
		 info.features & KRONOS_FEATURE_RDTSC ? "virtual" : "real");
	return 0;
}

static int64_t on_abort(const char *command)
{
	size_t size = abort_script ? strlen(abort_script) : 0;

	abort_script = realloc(abort_script, size + strlen(command) + 2);
	if (!abort_script)
		abort();
	sprintf(abort_script + size, "%s\n", command);
	return 0;
}

static int64_t serve(const struct kronos_request *request, int *fds,
		     struct kronos_reply *reply)
{
	switch (request->op) {
	case KRONOS_OP_INITIALIZE:
		return initialize(request, reply);
	case KRONOS_OP_ADD_HOST:
		return host_add(&request->host, reply);
	case KRONOS_OP_FIND_HOST:
		return (int64_t)host_find(request->host.name) ?: -ENOENT;
	case KRONOS_OP_KILL_HOST:
		return host_kill(request->id, reply);
	case KRONOS_OP_REMOVE_HOST:
		return host_remove(request->id, reply);
	case KRONOS_OP_ON_ABORT:
		return on_abort(request->command);
	case KRONOS_OP_FREEZE:
		return rounds_freeze(request->arg[0], epoch, reply);
	case KRONOS_OP_THAW:
		return rounds_thaw(reply);
	case KRONOS_OP_WATCH_FD:
		return rounds_watch(fds);
	case KRONOS_OP_UNWATCH_FD:
		return rounds_unwatch((int)request->arg[0]);
	case KRONOS_OP_PROGRESS:
		return rounds_progress(request, fds[0], reply);
	case KRONOS_OP_CLOCK:
		return host_clock(request->id, reply);
	case KRONOS_OP_TASK_CLOCK:
		return task_clock((int32_t)request->id, reply);
	case KRONOS_OP_STATS:
		return rounds_stats(reply);
	case KRONOS_OP_HOST_STATS:
		return host_stats(request->id, reply);
	case KRONOS_OP_STOP:
		return device_call(KRONOS_IOC_STOP, NULL);
	}
	snprintf(reply->text, sizeof(reply->text),
		 "the kernel engine cannot do this: virtual links, and where each task "
		 "stands, are the user engine's; fix: engine='user'");
	return -EOPNOTSUPP;
}

/* ---- life -------------------------------------------------------------- */

/* The orchestrator is gone: so is the experiment, and what it has made. */
static _Noreturn void end(void)
{
	tracers_refuse();
	device_close(); /* from here on time is real */
	if (abort_script)
		execl("/bin/sh", "sh", "-c", abort_script, NULL);
	_exit(0);
}

static void take_request(void)
{
	struct kronos_request request;
	struct kronos_reply reply = { 0 };
	int fds[MESSAGE_FDS];
	ssize_t size =
		message_receive(KRONOS_CONTROL_FD, &request, sizeof(request), fds, 0);

	if (size < 0 && errno == EINTR)
		return;
	if (size <= 0)
		end();
	if (size != sizeof(request))
		return;
	reply.result = serve(&request, fds, &reply);
	for (int i = 0; i < MESSAGE_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (!message_send(KRONOS_CONTROL_FD, &reply, sizeof(reply), NULL, 0))
		end();
	if (request.op == KRONOS_OP_STOP ||
	    (request.op == KRONOS_OP_INITIALIZE && reply.result < 0)) {
		tracers_refuse();
		_exit(0);
	}
}

static void on_usr1(int signal)
{
	int error = errno;

	(void)signal;
	device_call(KRONOS_IOC_INTERRUPT, NULL);
	errno = error;
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_usr1 };
	struct pollfd fds[2] = { { .fd = KRONOS_CONTROL_FD, .events = POLLIN } };

	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGUSR1, &action, NULL);
	rounds_prepare();
	fds[1] = (struct pollfd){ .fd = tracers_prepare(), .events = POLLIN };
	take_request();
	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			tracers_take();
		if (fds[0].revents)
			take_request();
	}
}
