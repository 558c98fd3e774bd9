// SPDX-License-Identifier: MIT
/*
 * user PACE PROGRAM: one of tests/programs in a host of the user engine, in rounds
 * of 1 ms; its argument is how much later than due something may happen.
 */
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "orchestrator.h"

#define ROUNDS 60000

/* It stands at its exec then, and the engine knows of it. */
static void await_stop(pid_t pid)
{
	char path[40], line[100];
	bool stands = false;

	sprintf(path, "/proc/%d/status", pid);
	while (!stands && waitpid(pid, NULL, WNOHANG) == 0) {
		FILE *file = fopen(path, "r");

		CHECK(file);
		while (fgets(line, sizeof(line), file))
			stands |= !strncmp(line, "State:\tt", 8);
		fclose(file);
		usleep(100);
	}
}

int main(int argc, char **argv)
{
	struct kronos_config config = {
		.struct_size = sizeof(config),
		.epoch_ns = -1,
		.engine_path = "/bin/kronos-engine",
		.cpu = -1,
		.engine = KRONOS_ENGINE_USER,
	};
	struct kronos_host_config host = {
		.struct_size = sizeof(host),
		.counter = KRONOS_COUNTER_CPUTIME,
		.cpu_speed = 1,
		.name = "h1",
	};
	char slack[32] = "20000000";
	int status = -1, end;
	int64_t rounds;
	pid_t pid;

	CHECK(argc == 3);
	if (!strcmp(argv[1], "free")) {
		host.counter = KRONOS_COUNTER_FREE;
		strcpy(slack, "100000");
	}
	if (kronos_initialize(&k, &config)) {
		puts(kronos_error(NULL));
		return 1;
	}
	puts(kronos_mechanisms(k));
	TRY(kronos_add_host(k, &host));
	TRY(kronos_freeze(k, -1));
	fflush(stdout);
	pid = start((char *[]){ "tracer", "--socket", (char *)(uintptr_t)kronos_socket(k),
				"--host", "h1", "--", argv[2], slack, NULL });
	await_stop(pid);
	end = (int)syscall(SYS_pidfd_open, pid, 0);
	CHECK(end >= 0);
	rounds = TRY(kronos_progress(k, MSEC, ROUNDS, end));
	CHECK(waitpid(pid, &status, WNOHANG) == pid);
	printf("%lld rounds, status %#x\n", (long long)rounds, (unsigned int)status);
	CHECK(!kronos_stop(k));
	return status ? 1 : success();
}
