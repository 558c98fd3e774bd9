// SPDX-License-Identifier: MIT
/* libkronos: the orchestrator's side. Starts the engine and speaks to it. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/messages.h"
#include "kronos_abi.h"
#include "kronos_module.h"

#define INTERRUPT_MS 100 /* until the engine is interrupted again */

struct kronos {
	pid_t engine;
	int control;
	enum kronos_engine kind;
	char socket[108];
	char mechanisms[KRONOS_ERROR_MAX];
	char error[KRONOS_ERROR_MAX];
};

static char start_error[KRONOS_ERROR_MAX];

const char *kronos_error(const struct kronos *k)
{
	return k ? k->error : start_error;
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

/* The first may come before the engine has begun, which has no effect. */
static void interrupt_until_reply(struct kronos *k)
{
	struct pollfd reply = { .fd = k->control, .events = POLLIN };

	do
		kronos_interrupt(k);
	while (poll(&reply, 1, INTERRUPT_MS) <= 0);
}

static int64_t call(struct kronos *k, const struct kronos_request *request,
		    const int *fds, size_t count, struct kronos_reply *reply)
{
	struct kronos_reply own;
	ssize_t size;

	if (!reply)
		reply = &own;
	if (!message_send(k->control, request, sizeof(*request), fds, count))
		return lost_engine(k);
	/* A signal must not lose the reply, but what may last ends for it. */
	while ((size = recv(k->control, reply, sizeof(*reply), 0)) < 0 &&
	       errno == EINTR)
		if (request->op == KRONOS_OP_PROGRESS ||
		    request->op == KRONOS_OP_FREEZE)
			interrupt_until_reply(k);
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

/* ---- start and end ----------------------------------------------------- */

static enum kronos_engine choose_engine(uint32_t wanted)
{
	if (wanted != KRONOS_ENGINE_AUTO)
		return wanted;
	return access(KRONOS_MODULE_DEVICE, R_OK | W_OK) ? KRONOS_ENGINE_USER :
							   KRONOS_ENGINE_KERNEL;
}

/* Beside this library, or where programs are if it is in a directory of libraries. */
static int engine_path(const struct kronos_config *config, enum kronos_engine kind,
		       char *path, size_t size)
{
	static const char *const directories[] = { "", "../bin/" };
	const char *name = kind == KRONOS_ENGINE_KERNEL ? "kronos-kernel-engine" :
							  "kronos-engine";
	int directory = 0;
	Dl_info info;

	if (config->engine_path) {
		snprintf(path, size, "%s", config->engine_path);
		if (!access(path, X_OK))
			return 0;
	} else {
		if (!dladdr((void *)(uintptr_t)kronos_initialize, &info))
			return -ENOENT;
		if (strrchr(info.dli_fname, '/'))
			directory = (int)(strrchr(info.dli_fname, '/') + 1 -
					  info.dli_fname);
		for (int i = 0; i < 2; i++) {
			snprintf(path, size, "%.*s%s%s", directory, info.dli_fname,
				 directories[i], name);
			if (!access(path, X_OK))
				return 0;
		}
	}
	snprintf(start_error, sizeof(start_error),
		 "cannot execute %.200s: %s; fix: make setup", path, strerror(errno));
	return -errno;
}

static int spawn_engine(struct kronos *k, const char *path, int fd)
{
	char *argv[] = { (char *)"kronos-engine", NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	extern char **environ;
	sigset_t none;
	int result;

	/* A session of its own: Ctrl-C is for the orchestrator. */
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, KRONOS_CONTROL_FD);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes,
				 POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
	result = posix_spawn(&k->engine, path, &actions, &attributes, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -result;
}

static int start_engine(struct kronos *k, const struct kronos_config *config)
{
	char path[PATH_MAX];
	int pair[2], high, result;

	result = engine_path(config, k->kind, path, sizeof(path));
	if (result)
		return result;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	/* dup2 onto itself would leave FD_CLOEXEC on. */
	high = fcntl(pair[1], F_DUPFD_CLOEXEC, KRONOS_CONTROL_FD + 1);
	result = high < 0 ? -errno : 0;
	close(pair[1]);
	k->control = pair[0];
	if (result)
		return result;
	result = spawn_engine(k, path, high);
	close(high);
	return result;
}

static int choose_socket(struct kronos *k, const struct kronos_config *config)
{
	if (!config->socket_path) {
		snprintf(k->socket, sizeof(k->socket), KRONOS_RUN_DIR "/%d.sock",
			 getpid());
		return mkdir(KRONOS_RUN_DIR, 0755) && errno != EEXIST ? -errno : 0;
	}
	if (strlen(config->socket_path) < sizeof(k->socket)) {
		strcpy(k->socket, config->socket_path);
		return 0;
	}
	snprintf(start_error, sizeof(start_error),
		 "the socket's path has more than %zu bytes; fix: a shorter one",
		 sizeof(k->socket) - 1);
	return -ENAMETOOLONG;
}

static void await_end(const struct kronos *k)
{
	while (waitpid(k->engine, NULL, 0) < 0 && errno == EINTR)
		;
}

static int start_failed(struct kronos *k, int result)
{
	if (k->error[0])
		snprintf(start_error, sizeof(start_error), "%s", k->error);
	else if (!start_error[0])
		snprintf(start_error, sizeof(start_error), "cannot start: %s",
			 strerror(-result));
	if (k->control >= 0)
		close(k->control);
	if (k->engine > 0)
		await_end(k);
	free(k);
	return result;
}

int kronos_initialize(struct kronos **out, const struct kronos_config *config)
{
	struct kronos_request request = { .op = KRONOS_OP_INITIALIZE };
	struct kronos_reply reply;
	struct kronos *k;
	int result;

	start_error[0] = '\0';
	if (config->struct_size != sizeof(*config)) {
		snprintf(start_error, sizeof(start_error),
			 "kronos_config has %u bytes, not %zu; fix: build against "
			 "this library's kronos.h",
			 config->struct_size, sizeof(*config));
		return -EINVAL;
	}
	if (geteuid() != 0) {
		snprintf(start_error, sizeof(start_error),
			 "must be root to trace and schedule other processes; fix: "
			 "run with sudo");
		return -EPERM;
	}
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->control = -1;
	k->kind = choose_engine(config->engine);
	result = choose_socket(k, config);
	if (!result)
		result = start_engine(k, config);
	if (result)
		return start_failed(k, result);
	request.init.expected_tracers = config->expected_tracers;
	request.init.flags = config->flags;
	request.init.seed = config->seed;
	request.init.epoch_ns = config->epoch_ns;
	request.init.cpu = config->cpu;
	request.init.cpus = config->cpus;
	memcpy(request.init.socket_path, k->socket, sizeof(k->socket));
	result = (int)call(k, &request, NULL, 0, &reply);
	if (result)
		return start_failed(k, result);
	memcpy(k->mechanisms, reply.text, sizeof(k->mechanisms));
	*out = k;
	return 0;
}

int kronos_stop(struct kronos *k)
{
	struct kronos_request request = { .op = KRONOS_OP_STOP };
	int64_t result = call(k, &request, NULL, 0, NULL);

	close(k->control);
	await_end(k);
	unlink(k->socket); /* an engine that was killed has left it */
	free(k);
	return (int)result;
}

/* ---- the rest ---------------------------------------------------------- */

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
	return (int)call(k, &request, NULL, 0, NULL);
}

int kronos_find_host(struct kronos *k, const char *name)
{
	struct kronos_request request = { .op = KRONOS_OP_FIND_HOST };

	snprintf(request.host.name, sizeof(request.host.name), "%s", name);
	return (int)call(k, &request, NULL, 0, NULL);
}

int kronos_kill_host(struct kronos *k, uint32_t host)
{
	struct kronos_request request = { .op = KRONOS_OP_KILL_HOST, .id = host };

	return (int)call(k, &request, NULL, 0, NULL);
}

int kronos_add_link(struct kronos *k, const struct kronos_link_config *config)
{
	struct kronos_request request = { .op = KRONOS_OP_ADD_LINK };

	if (config->struct_size != sizeof(*config))
		return bad_size(k, "kronos_link_config");
	request.link = *config;
	return (int)call(k, &request, config->tap_fd, 2, NULL);
}

int kronos_remove_link(struct kronos *k, uint32_t link)
{
	struct kronos_request request = { .op = KRONOS_OP_REMOVE_LINK, .id = link };

	return (int)call(k, &request, NULL, 0, NULL);
}

int kronos_capture(struct kronos *k, uint32_t link, uint32_t end, int fd)
{
	struct kronos_request request = {
		.op = KRONOS_OP_CAPTURE,
		.id = link,
		.direction = end,
	};

	return (int)call(k, &request, &fd, fd >= 0, NULL);
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

	return (int)call(k, &request, NULL, 0, NULL);
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
	int64_t result = call(k, &request, NULL, 0, &reply);

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
	return (int)call(k, &request, &config->listener, 1, NULL);
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
	return (int)call(k, &request, NULL, 0, NULL);
}

int kronos_freeze(struct kronos *k, int timeout_ms)
{
	struct kronos_request request = {
		.op = KRONOS_OP_FREEZE,
		.arg = { timeout_ms },
	};

	return (int)call(k, &request, NULL, 0, NULL);
}

int kronos_thaw(struct kronos *k)
{
	struct kronos_request request = { .op = KRONOS_OP_THAW };

	return (int)call(k, &request, NULL, 0, NULL);
}

int64_t kronos_progress(struct kronos *k, int64_t timestep_ns, int64_t num_rounds,
			int until_fd)
{
	struct kronos_request request = {
		.op = KRONOS_OP_PROGRESS,
		.arg = { timestep_ns, num_rounds },
		.has_fd = until_fd >= 0,
	};

	return call(k, &request, &until_fd, until_fd >= 0, NULL);
}

int kronos_host_status(struct kronos *k, uint32_t host,
		       struct kronos_host_status *status)
{
	struct kronos_request request = { .op = KRONOS_OP_HOST_STATUS, .id = host };
	struct kronos_reply reply;
	int64_t result = call(k, &request, NULL, 0, &reply);

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
	int64_t result = call(k, &request, NULL, 0, &reply);

	if (result > 0)
		*task = reply.task;
	return (int)result;
}

int kronos_watch_link(struct kronos *k, uint32_t link, int socket)
{
	struct kronos_request request = { .op = KRONOS_OP_WATCH_LINK, .id = link };

	return (int)call(k, &request, &socket, 1, NULL);
}

int kronos_watch_fd(struct kronos *k, int fd)
{
	struct kronos_request request = { .op = KRONOS_OP_WATCH_FD };

	return (int)call(k, &request, &fd, 1, NULL);
}

int kronos_unwatch_fd(struct kronos *k, int number)
{
	struct kronos_request request = {
		.op = KRONOS_OP_UNWATCH_FD,
		.arg = { number },
	};

	return (int)call(k, &request, NULL, 0, NULL);
}

int kronos_watch_terminal(struct kronos *k, uint32_t host, uint64_t device, int event_fd)
{
	struct kronos_request request = {
		.op = KRONOS_OP_WATCH_TERMINAL,
		.id = host,
		.arg = { (int64_t)device },
	};

	return (int)call(k, &request, &event_fd, 1, NULL);
}

void kronos_interrupt(struct kronos *k)
{
	kill(k->engine, SIGUSR1);
}

int64_t kronos_now(struct kronos *k)
{
	struct kronos_request request = { .op = KRONOS_OP_CLOCK };

	return call(k, &request, NULL, 0, NULL);
}

int64_t kronos_host_time(struct kronos *k, uint32_t host)
{
	struct kronos_request request = { .op = KRONOS_OP_CLOCK, .id = host };

	return call(k, &request, NULL, 0, NULL);
}

int kronos_host_stats(struct kronos *k, uint32_t host, struct kronos_host_stats *stats)
{
	struct kronos_request request = { .op = KRONOS_OP_HOST_STATS, .id = host };
	struct kronos_reply reply;
	int64_t result = call(k, &request, NULL, 0, &reply);

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

	return call(k, &request, NULL, 0, NULL);
}

enum kronos_engine kronos_engine(const struct kronos *k)
{
	return k->kind;
}

int kronos_stats(struct kronos *k, struct kronos_stats *stats)
{
	struct kronos_request request = { .op = KRONOS_OP_STATS };
	struct kronos_reply reply;
	int64_t result = call(k, &request, NULL, 0, &reply);

	if (result >= 0)
		*stats = reply.stats;
	return (int)result;
}
