// SPDX-License-Identifier: MIT
/* libkronos: the orchestrator's side. Speaks to the engine that start.c has started. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "../common/messages.h"
#include "client.h"
#include "kronos_abi.h"

#define INTERRUPT_MS 100 /* until the engine is interrupted again */
#define LOOK_MS 1000 /* between looks at an engine that has not answered */
#define ANSWER_MS 60000 /* that an engine has for what does not last */
#define STOPPED_MS 5000 /* that one may be stopped by a signal */

char kronos_start_error[KRONOS_ERROR_MAX];

const char *kronos_error(const struct kronos *k)
{
	return k ? k->error : kronos_start_error;
}

const char *kronos_socket(const struct kronos *k)
{
	return k->socket;
}

const char *kronos_mechanisms(const struct kronos *k)
{
	return k->mechanisms;
}

/* ---- requests ---------------------------------------------------------- */

static int64_t lost_engine(struct kronos *k)
{
	snprintf(k->error, sizeof(k->error),
		 "the engine has ended unexpectedly, and with it every dilated "
		 "process; see its last line on standard error");
	return -EPIPE;
}

/* Of a process, as in /proc/PID/stat; '?' if there is none. */
static char process_state(pid_t pid)
{
	char path[32], line[64] = "", *end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (!file)
		return '?';
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	end = strrchr(line, ')');
	return end && end[1] ? end[2] : '?';
}

static bool may_last(const struct kronos_request *request)
{
	return request->op == KRONOS_OP_PROGRESS || request->op == KRONOS_OP_FREEZE;
}

/* How long a reply has been waited for, and the engine been stopped by a signal meanwhile. */
struct patience {
	int waited_ms, stopped_ms;
};

/* Ends an engine that should have answered, unless a debugger has stopped it. */
static bool give_up(struct kronos *k, const struct kronos_request *request,
		    struct patience *patience, int more_ms)
{
	char state = process_state(k->engine);

	patience->waited_ms += more_ms;
	patience->stopped_ms = state == 'T' ? patience->stopped_ms + more_ms : 0;
	if (patience->stopped_ms >= STOPPED_MS)
		snprintf(k->error, sizeof(k->error),
			 "the engine (process %d) was stopped by a signal; it has been "
			 "ended, and with it every dilated process",
			 k->engine);
	else if (patience->waited_ms >= ANSWER_MS && !may_last(request) && state != 't')
		snprintf(k->error, sizeof(k->error),
			 "the engine (process %d) has not answered for %d s; it has been "
			 "ended, and with it every dilated process",
			 k->engine, ANSWER_MS / 1000);
	else
		return false;
	kill(k->engine, SIGKILL);
	return true;
}

/* A signal must not lose the reply, but what may last ends for it: an interrupt that comes
 * before the engine has begun has no effect. Signals are held but for while this waits. */
static bool await_reply(struct kronos *k, const struct kronos_request *request,
			const sigset_t *mask)
{
	struct pollfd reply = { .fd = k->control, .events = POLLIN };
	struct patience patience = { 0 };
	bool interrupted = false;
	int ready, tick;

	do {
		tick = interrupted ? INTERRUPT_MS : LOOK_MS;
		ready = ppoll(&reply, 1, &(struct timespec){ tick / 1000, tick % 1000 * 1000000L },
			      mask);
		if (ready == 0 && give_up(k, request, &patience, tick))
			return false;
		if (ready < 0 && may_last(request))
			interrupted = true;
		if (ready <= 0 && interrupted)
			kronos_interrupt(k);
	} while (ready <= 0);
	return true;
}

/* A signal that came between the request and the wait would not end what may last. */
static bool exchange(struct kronos *k, const struct kronos_request *request,
		     const int *fds, size_t count)
{
	sigset_t all, mask;
	bool answered;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	answered = message_send(k->control, request, sizeof(*request), fds, count);
	if (!answered)
		lost_engine(k);
	else
		answered = await_reply(k, request, &mask);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	return answered;
}

int64_t kronos_call(struct kronos *k, const struct kronos_request *request,
		    const int *fds, size_t count, struct kronos_reply *reply)
{
	struct kronos_reply own;
	ssize_t size;

	if (!reply)
		reply = &own;
	if (!exchange(k, request, fds, count))
		return -EPIPE;
	size = recv(k->control, reply, sizeof(*reply), 0);
	if (size != sizeof(*reply))
		return lost_engine(k);
	if (reply->result < 0) {
		reply->text[sizeof(reply->text) - 1] = '\0';
		snprintf(k->error, sizeof(k->error), "%s",
			 reply->text[0] ? reply->text :
					  strerror((int)-reply->result));
	}
	return reply->result;
}

/* ---- what can be asked for --------------------------------------------- */

static int bad_size(struct kronos *k, const char *what)
{
	snprintf(k->error, sizeof(k->error),
		 "%s has the wrong size; fix: build against this library's kronos.h",
		 what);
	return -EINVAL;
}

int kronos_add_host(struct kronos *k, const struct kronos_host_config *config)
{
	struct kronos_request request = { .op = KRONOS_OP_ADD_HOST };

	if (config->struct_size != sizeof(*config))
		return bad_size(k, "kronos_host_config");
	if (!kronos_speed_works(config->cpu_speed)) {
		snprintf(k->error, sizeof(k->error),
			 "cpu_speed of %.*s must be from %g to %g, or infinite",
			 KRONOS_NAME_MAX - 1, config->name, KRONOS_SPEED_MIN,
			 KRONOS_SPEED_MAX);
		return -EINVAL;
	}
	request.host = *config;
	request.host.name[KRONOS_NAME_MAX - 1] = '\0';
	return (int)kronos_call(k, &request, NULL, 0, NULL);
}

int kronos_find_host(struct kronos *k, const char *name)
{
	struct kronos_request request = { .op = KRONOS_OP_FIND_HOST };

	snprintf(request.host.name, sizeof(request.host.name), "%s", name);
	return (int)kronos_call(k, &request, NULL, 0, NULL);
}

int kronos_kill_host(struct kronos *k, uint32_t host)
{
	struct kronos_request request = { .op = KRONOS_OP_KILL_HOST, .id = host };

	return (int)kronos_call(k, &request, NULL, 0, NULL);
}

int kronos_remove_host(struct kronos *k, uint32_t host)
{
	struct kronos_request request = { .op = KRONOS_OP_REMOVE_HOST, .id = host };

	return (int)kronos_call(k, &request, NULL, 0, NULL);
}

int kronos_add_link(struct kronos *k, const struct kronos_link_config *config)
{
	struct kronos_request request = { .op = KRONOS_OP_ADD_LINK };

	if (config->struct_size != sizeof(*config))
		return bad_size(k, "kronos_link_config");
	request.link = *config;
	return (int)kronos_call(k, &request, config->tap_fd, 2, NULL);
}

int kronos_remove_link(struct kronos *k, uint32_t link)
{
	struct kronos_request request = { .op = KRONOS_OP_REMOVE_LINK, .id = link };

	return (int)kronos_call(k, &request, NULL, 0, NULL);
}

int kronos_capture(struct kronos *k, uint32_t link, uint32_t end, int fd)
{
	struct kronos_request request = {
		.op = KRONOS_OP_CAPTURE,
		.id = link,
		.direction = end,
	};

	return (int)kronos_call(k, &request, &fd, fd >= 0, NULL);
}

int kronos_set_link(struct kronos *k, uint32_t link, uint32_t direction,
		    const struct kronos_link_params *params)
{
	struct kronos_request request = {
		.op = KRONOS_OP_SET_LINK,
		.id = link,
		.direction = direction,
		.params = *params,
	};

	return (int)kronos_call(k, &request, NULL, 0, NULL);
}

int kronos_link_stats(struct kronos *k, uint32_t link, uint32_t direction,
		      struct kronos_link_stats *stats)
{
	struct kronos_request request = {
		.op = KRONOS_OP_LINK_STATS,
		.id = link,
		.direction = direction,
	};
	struct kronos_reply reply;
	int64_t result = kronos_call(k, &request, NULL, 0, &reply);

	if (result >= 0)
		*stats = reply.link_stats;
	return (int)result;
}

int kronos_add_relay(struct kronos *k, const struct kronos_relay_config *config)
{
	struct kronos_request request = { .op = KRONOS_OP_ADD_RELAY };

	if (config->struct_size != sizeof(*config))
		return bad_size(k, "kronos_relay_config");
	request.relay = *config;
	return (int)kronos_call(k, &request, &config->listener, 1, NULL);
}

int kronos_on_abort(struct kronos *k, const char *command)
{
	struct kronos_request request = { .op = KRONOS_OP_ON_ABORT };

	if (strlen(command) >= sizeof(request.command)) {
		snprintf(k->error, sizeof(k->error),
			 "the clean-up command has more than %zu characters",
			 sizeof(request.command) - 1);
		return -E2BIG;
	}
	strcpy(request.command, command);
	return (int)kronos_call(k, &request, NULL, 0, NULL);
}

int kronos_freeze(struct kronos *k, int timeout_ms)
{
	struct kronos_request request = {
		.op = KRONOS_OP_FREEZE,
		.arg = { timeout_ms },
	};

	return (int)kronos_call(k, &request, NULL, 0, NULL);
}

int kronos_thaw(struct kronos *k)
{
	struct kronos_request request = { .op = KRONOS_OP_THAW };

	return (int)kronos_call(k, &request, NULL, 0, NULL);
}

int64_t kronos_progress(struct kronos *k, int64_t timestep_ns, int64_t num_rounds,
			int until_fd)
{
	struct kronos_request request = {
		.op = KRONOS_OP_PROGRESS,
		.arg = { timestep_ns, num_rounds },
		.has_fd = until_fd >= 0,
	};

	return kronos_call(k, &request, &until_fd, until_fd >= 0, NULL);
}

int kronos_host_status(struct kronos *k, uint32_t host,
		       struct kronos_host_status *status)
{
	struct kronos_request request = { .op = KRONOS_OP_HOST_STATUS, .id = host };
	struct kronos_reply reply;
	int64_t result = kronos_call(k, &request, NULL, 0, &reply);

	if (result >= 0)
		*status = reply.host_status;
	return result < 0 ? (int)result : 0;
}

int kronos_task(struct kronos *k, uint32_t host, uint32_t number,
		struct kronos_task *task)
{
	struct kronos_request request = {
		.op = KRONOS_OP_TASK,
		.id = host,
		.arg = { number },
	};
	struct kronos_reply reply;
	int64_t result = kronos_call(k, &request, NULL, 0, &reply);

	if (result > 0)
		*task = reply.task;
	return (int)result;
}

int kronos_watch_link(struct kronos *k, uint32_t link, int socket)
{
	struct kronos_request request = { .op = KRONOS_OP_WATCH_LINK, .id = link };

	return (int)kronos_call(k, &request, &socket, 1, NULL);
}

int kronos_watch_fd(struct kronos *k, int fd)
{
	struct kronos_request request = { .op = KRONOS_OP_WATCH_FD };

	return (int)kronos_call(k, &request, &fd, 1, NULL);
}

int kronos_unwatch_fd(struct kronos *k, int number)
{
	struct kronos_request request = {
		.op = KRONOS_OP_UNWATCH_FD,
		.arg = { number },
	};

	return (int)kronos_call(k, &request, NULL, 0, NULL);
}

int kronos_watch_terminal(struct kronos *k, uint32_t host, uint64_t device, int event_fd)
{
	struct kronos_request request = {
		.op = KRONOS_OP_WATCH_TERMINAL,
		.id = host,
		.arg = { (int64_t)device },
	};

	return (int)kronos_call(k, &request, &event_fd, 1, NULL);
}

void kronos_interrupt(struct kronos *k)
{
	kill(k->engine, SIGUSR1);
}

int64_t kronos_now(struct kronos *k)
{
	struct kronos_request request = { .op = KRONOS_OP_CLOCK };

	return kronos_call(k, &request, NULL, 0, NULL);
}

int64_t kronos_host_time(struct kronos *k, uint32_t host)
{
	struct kronos_request request = { .op = KRONOS_OP_CLOCK, .id = host };

	return kronos_call(k, &request, NULL, 0, NULL);
}

int kronos_host_stats(struct kronos *k, uint32_t host, struct kronos_host_stats *stats)
{
	struct kronos_request request = { .op = KRONOS_OP_HOST_STATS, .id = host };
	struct kronos_reply reply;
	int64_t result = kronos_call(k, &request, NULL, 0, &reply);

	if (result >= 0)
		*stats = reply.host_stats;
	return (int)result;
}

int64_t kronos_task_time(struct kronos *k, int32_t tid)
{
	struct kronos_request request = {
		.op = KRONOS_OP_TASK_CLOCK,
		.id = (uint32_t)tid,
	};

	return kronos_call(k, &request, NULL, 0, NULL);
}

enum kronos_engine kronos_engine(const struct kronos *k)
{
	return k->kind;
}

int kronos_stats(struct kronos *k, struct kronos_stats *stats)
{
	struct kronos_request request = { .op = KRONOS_OP_STATS };
	struct kronos_reply reply;
	int64_t result = kronos_call(k, &request, NULL, 0, &reply);

	if (result >= 0)
		*stats = reply.stats;
	return (int)result;
}
