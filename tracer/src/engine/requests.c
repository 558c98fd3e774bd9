// SPDX-License-Identifier: MIT
/* What the orchestrator, or the first worker in its name, asks the engine for. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/messages.h"
#include "counter.h"
#include "engine.h"
#include "host.h"
#include "inspect.h"
#include "links.h"
#include "live.h"
#include "relay.h"
#include "requests.h"
#include "rounds.h"
#include "task.h"
#include "terminal.h"
#include "tracers.h"
#include "watch.h"
#include "watchdog.h"
#include "wire.h"
#include "workers.h"

/* The freeze waits so long for tracers before a line says so. */
#define PATIENCE (5 * NSEC_PER_SEC)

static int add_host(const struct kronos_host_config *config, char *text, size_t size)
{
	if (host_find(config->name)) {
		snprintf(text, size, "there is a host %s already", config->name);
		return -EEXIST;
	}
	if (config->cores > KRONOS_CORES_MAX) {
		snprintf(text, size, "cores of %s must be at most %d", config->name,
			 KRONOS_CORES_MAX);
		return -EINVAL;
	}
	if (counter_is_missing(config->name, config->counter, text, size))
		return -EOPNOTSUPP;
	return (int)host_add(config)->id;
}

/* Waits in real time for the tracers that are expected. */
static int await_expected(int64_t timeout_ms, char *text, size_t size)
{
	uint64_t start = tsc_now();
	bool told = false;

	rounds_clear_interrupt();
	while (engine.tracers_joined < engine.tracers_expected) {
		if (timeout_ms >= 0 &&
		    ns_since(start) >= timeout_ms * NSEC_PER_MSEC)
			rounds_interrupt();
		if (rounds_interrupted()) {
			snprintf(text, size, "%u of %u tracers have registered",
				 engine.tracers_joined, engine.tracers_expected);
			return -EAGAIN;
		}
		live_run(10);
		tracers_accept();
		if (!told && ns_since(start) > PATIENCE) {
			engine_warn("the freeze waits for tracers: %u of %u have "
				    "registered",
				    engine.tracers_joined, engine.tracers_expected);
			told = true;
		}
	}
	return 0;
}

static int check_progress(const struct kronos_request *request, char *text, size_t size)
{
	const char *wrong = engine.live ? "not frozen: synchronize and freeze first" :
			    request->arg[0] <= 0 ? "timestep must be above 0" :
			    request->arg[0] > KRONOS_DURATION_MAX ?
						 "timestep must be at most ten years" :
			    request->arg[1] < 0 ?
						 "number of rounds must not be negative" :
			    !rounds_most(request->arg[0]) ?
						 "virtual time ends after a century; fix: stop, and start again" :
						 NULL;

	if (wrong)
		snprintf(text, size, "%s", wrong);
	return wrong ? -EINVAL : 0;
}

/*
 * What the first worker does before all of them serve a request: looks whether
 * it can be served, and decides what must be the same everywhere.
 */
static int prepare(struct kronos_request *request, char *text, size_t size)
{
	int result;

	switch (request->op) {
	case KRONOS_OP_FREEZE:
		result = await_expected(request->arg[0], text, size);
		if (result)
			return result;
		live_await_tracers();
		request->arg[1] = live_freeze_time();
		return 0;
	case KRONOS_OP_THAW:
		request->arg[1] = (int64_t)tsc_now();
		return 0;
	case KRONOS_OP_PROGRESS:
		result = check_progress(request, text, size);
		if (result)
			return result;
		tracers_accept();
		rounds_prepare(request->arg[0], request->arg[1]);
		return 0;
	}
	return 0;
}

static int64_t clock_of(uint32_t id, char *text, size_t size)
{
	const struct host *host = host_get(id);

	if (id && !host) {
		snprintf(text, size, "unknown host %u", id);
		return -ENOENT;
	}
	if (!engine.origin)
		return 0;
	return (host ? host_now(host) : engine.live ? live_now() : engine.now) -
	       engine.origin;
}

static int host_stats(uint32_t id, struct kronos_reply *reply)
{
	const struct host *host = host_get(id);

	if (!host) {
		snprintf(reply->text, sizeof(reply->text), "unknown host %u", id);
		return -ENOENT;
	}
	reply->host_stats = host->stats;
	reply->host_stats.tasks = host->task_count;
	return 0;
}

static int64_t serve(struct kronos_request *request, const int *fds,
		     struct kronos_reply *reply)
{
	struct host *host;
	char *text = reply->text;
	size_t size = sizeof(reply->text);

	switch (request->op) {
	case KRONOS_OP_ADD_HOST:
		return add_host(&request->host, text, size);
	case KRONOS_OP_ADD_TRACER:
		host_add(&request->host)->standalone = true;
		return 0;
	case KRONOS_OP_FIND_HOST:
		host = host_find(request->host.name);
		return host ? (int64_t)host->id : -ENOENT;
	case KRONOS_OP_KILL_HOST:
	case KRONOS_OP_REMOVE_HOST:
		host = host_get(request->id);
		if (!host)
			return -ENOENT;
		if (request->op == KRONOS_OP_REMOVE_HOST)
			host_remove(host);
		else
			host_kill(host);
		return 0;
	case KRONOS_OP_ADD_LINK:
		request->link.tap_fd[0] = fds[0];
		request->link.tap_fd[1] = fds[1];
		return link_add(&request->link, text, size);
	case KRONOS_OP_REMOVE_LINK:
		return link_remove(request->id);
	case KRONOS_OP_SET_LINK:
		return link_set(request->id, request->direction, &request->params,
				text, size);
	case KRONOS_OP_CAPTURE:
		return link_capture(request->id, request->direction, fds[0]);
	case KRONOS_OP_LINK_STATS:
		return link_stats(request->id, request->direction,
				  &reply->link_stats);
	case KRONOS_OP_ADD_RELAY:
		return relay_add(&request->relay, fds[0], text, size);
	case KRONOS_OP_ON_ABORT:
		return engine_on_abort(request->command);
	case KRONOS_OP_FREEZE:
		live_await_tracers();
		live_freeze(request->arg[1]);
		return engine.tracers_joined;
	case KRONOS_OP_THAW:
		if (!engine.live)
			live_thaw((uint64_t)request->arg[1]);
		return 0;
	case KRONOS_OP_PROGRESS:
		return rounds_progress(request->has_fd ? fds[0] : -1);
	case KRONOS_OP_CLOCK:
		return clock_of(request->id, text, size);
	case KRONOS_OP_STATS:
		reply->stats = engine.stats;
		reply->stats.hosts = engine.host_count;
		reply->stats.tasks = task_count();
		return 0;
	case KRONOS_OP_HOST_STATS:
		return host_stats(request->id, reply);
	case KRONOS_OP_HOST_STATUS:
		return inspect_host(request->id, &reply->host_status);
	case KRONOS_OP_TASK:
		return inspect_task(request->id, request->arg[0], &reply->task);
	case KRONOS_OP_WATCH_LINK:
		if (!link_exists(request->id) || fds[0] < 0)
			return -EINVAL;
		watch_add(request->id, fds[0]);
		return 0;
	case KRONOS_OP_WATCH_TERMINAL:
		return terminal_watch(request->id, request->arg[0], fds[0]);
	case KRONOS_OP_WATCH_FD:
		return watch_fd(fds[0]);
	case KRONOS_OP_UNWATCH_FD:
		unwatch_fd(request->arg[0]);
		return 0;
	case KRONOS_OP_STOP:
		hosts_kill();
		return 0;
	}
	return -ENOSYS;
}

/* The other workers end with the first one. */
static void requests_end(void)
{
	if (engine.worker > 0)
		return;
	engine_remove_socket();
	_exit(0);
}

/* As the first worker, together with the others if they are concerned. */
static int64_t lead(struct kronos_request *request, const int *fds,
		    struct kronos_reply *reply)
{
	bool together = workers_concern(request->op);
	int64_t other;
	int64_t result = prepare(request, reply->text, sizeof(reply->text));

	if (result < 0)
		return result;
	if (together)
		workers_send(request, fds);
	result = serve(request, fds, reply);
	if (together) {
		other = workers_await(request, reply);
		result = other ? other : result;
	}
	if (request->op == KRONOS_OP_STOP) {
		workers_stop();
		/* Whoever has asked for it may close the socket before this process has ended. */
		watchdog_forget(KRONOS_CONTROL_FD);
	}
	return result;
}

static bool keeps_fds(uint32_t op)
{
	return op == KRONOS_OP_ADD_LINK || op == KRONOS_OP_ADD_RELAY ||
	       op == KRONOS_OP_WATCH_LINK || op == KRONOS_OP_WATCH_FD ||
	       op == KRONOS_OP_WATCH_TERMINAL ||
	       op == KRONOS_OP_CAPTURE;
}

static void take_request(void)
{
	struct kronos_request request;
	struct kronos_reply reply = { 0 };
	int fds[2];
	ssize_t size = message_receive(KRONOS_CONTROL_FD, &request, sizeof(request),
					fds, 0);

	if (size == 0)
		engine_abort(); /* the orchestrator is gone, or the first worker */
	if (size != sizeof(request))
		return;
	if (request.op == KRONOS_OP_INITIALIZE)
		reply.result = engine_initialize(&request, reply.text,
						 sizeof(reply.text));
	else if (engine.worker == 0)
		reply.result = lead(&request, fds, &reply);
	else
		reply.result = serve(&request, fds, &reply);
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0 && (!keeps_fds(request.op) || reply.result < 0))
			close(fds[i]);
	if (send(KRONOS_CONTROL_FD, &reply, sizeof(reply), MSG_NOSIGNAL) < 0)
		engine_abort();
	if (request.op == KRONOS_OP_STOP ||
	    (request.op == KRONOS_OP_INITIALIZE && reply.result < 0))
		requests_end();
}

void requests_initialize(void)
{
	take_request();
}

void requests_serve(void)
{
	if (engine.live)
		live_run(-1);
	else if (!host_answer())
		await_outside(-1);
	eventfd_clear(engine.wake);
	task_settle();
	link_read_all();
	relay_read();
	wire_flush();
	tracers_accept();
	if (fd_is_readable(KRONOS_CONTROL_FD))
		take_request();
}
