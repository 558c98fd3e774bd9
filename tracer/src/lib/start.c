// SPDX-License-Identifier: MIT
/* libkronos: starts the engine, and awaits its end. */
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
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "kronos_abi.h"
#include "kronos_module.h"

#define END_MS 60000 /* that the engine has for its end */

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
	snprintf(kronos_start_error, sizeof(kronos_start_error),
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
	snprintf(kronos_start_error, sizeof(kronos_start_error),
		 "the socket's path has more than %zu bytes; fix: a shorter one",
		 sizeof(k->socket) - 1);
	return -ENAMETOOLONG;
}

/* One that does not end is made to. */
static void await_end(const struct kronos *k)
{
	struct pollfd end = { .fd = pidfd_open(k->engine, 0), .events = POLLIN };

	if (end.fd >= 0) {
		if (poll(&end, 1, END_MS) == 0)
			kill(k->engine, SIGKILL);
		close(end.fd);
	}
	while (waitpid(k->engine, NULL, 0) < 0 && errno == EINTR)
		;
}

static int start_failed(struct kronos *k, int result)
{
	if (k->error[0])
		snprintf(kronos_start_error, sizeof(kronos_start_error), "%s", k->error);
	else if (!kronos_start_error[0])
		snprintf(kronos_start_error, sizeof(kronos_start_error), "cannot start: %s",
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

	kronos_start_error[0] = '\0';
	if (config->struct_size != sizeof(*config)) {
		snprintf(kronos_start_error, sizeof(kronos_start_error),
			 "kronos_config has %u bytes, not %zu; fix: build against "
			 "this library's kronos.h",
			 config->struct_size, sizeof(*config));
		return -EINVAL;
	}
	if (geteuid() != 0) {
		snprintf(kronos_start_error, sizeof(kronos_start_error),
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
	result = (int)kronos_call(k, &request, NULL, 0, &reply);
	if (result)
		return start_failed(k, result);
	memcpy(k->mechanisms, reply.text, sizeof(k->mechanisms));
	*out = k;
	return 0;
}

int kronos_stop(struct kronos *k)
{
	struct kronos_request request = { .op = KRONOS_OP_STOP };
	int64_t result = kronos_call(k, &request, NULL, 0, NULL);

	close(k->control);
	await_end(k);
	unlink(k->socket); /* an engine that was killed has left it */
	free(k);
	return (int)result;
}
