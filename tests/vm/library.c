// SPDX-License-Identifier: MIT
/* The five stages through libkronos and the tracer, with the kernel engine. */
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "experiment.h"
#include "orchestrator.h"

static pid_t start_on(const char *host, const char *command)
{
	char *argv[] = { "tracer", "--socket", (char *)(uintptr_t)kronos_socket(k),
			 "--host", (char *)(uintptr_t)host, "--", "sh", "-c",
			 (char *)(uintptr_t)command, NULL };
	pid_t pid = start(argv);

	while (kronos_task_time(k, pid) < 0) /* no timer would end a sleep */
		sched_yield();
	return pid;
}

static int add(const char *name, double speed, enum kronos_pace pace)
{
	struct kronos_host_config config = {
		.struct_size = sizeof(config),
		.pace = pace,
		.counter = KRONOS_COUNTER_CPUTIME,
		.cpu_speed = speed,
	};

	strcpy(config.name, name);
	return (int)TRY(kronos_add_host(k, &config));
}

/* Virtual ns that it takes to its end, at most a minute; checks its status. */
static int64_t time_to_end(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0), status;
	int64_t before = kronos_now(k);

	CHECK(fd >= 0);
	CHECK(TRY(kronos_progress(k, MSEC, 60000, fd)) < 60000);
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	close(fd);
	return kronos_now(k) - before;
}

/* CPU time in ns. */
static int64_t work_of_host(int host)
{
	struct kronos_host_stats stats;

	CHECK(!kronos_host_stats(k, (uint32_t)host, &stats));
	return (int64_t)stats.cpu_ns;
}

/* Frozen, the machine's clock stands and real time passes. */
static void real_time_passes(void)
{
	int64_t start = TRY(kronos_real_time(k)), stands = now();

	CHECK(kronos_real_wait(k, -1, 10 * MSEC) == 0);
	CHECK(kronos_real_time(k) - start >= 10 * MSEC);
	CHECK(now() == stands);
}

/* What is watched ends a progress after its round, until it is watched no more. */
static void watches(void)
{
	int fds[2], number;

	CHECK(!pipe(fds));
	number = (int)TRY(kronos_watch_fd(k, fds[0]));
	CHECK(TRY(kronos_progress(k, MSEC, 5, -1)) == 5);
	CHECK(write(fds[1], "", 1) == 1);
	CHECK(TRY(kronos_progress(k, MSEC, 5, -1)) < 5);
	TRY(kronos_unwatch_fd(k, number));
	CHECK(TRY(kronos_progress(k, MSEC, 5, -1)) == 5);
	close(fds[0]);
	close(fds[1]);
}

/* A tracer that stands still before it has asked for anything is no obstacle. */
static void silent_tracer(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	strcpy(address.sun_path, kronos_socket(k));
	CHECK(!connect(fd, (struct sockaddr *)&address, sizeof(address)));
	CHECK(TRY(kronos_progress(k, MSEC, 5, -1)) == 5);
	close(fd);
	CHECK(TRY(kronos_progress(k, MSEC, 5, -1)) == 5);
}

int main(void)
{
	struct kronos_config config = {
		.struct_size = sizeof(config),
		.expected_tracers = 1,
		.epoch_ns = -1,
		.engine_path = "/bin/kronos-kernel-engine",
		.cpu = -1,
		.engine = KRONOS_ENGINE_KERNEL,
	};
	char *standalone[] = { "tracer", "--socket", NULL, "-r", "2", "-c", "sleep 0.3", NULL };
	struct kronos_host_config again = { .struct_size = sizeof(again), .cpu_speed = 1 };
	struct kronos_stats sum;
	/* A round, and what the kernel does for a task at its end, which nothing cuts. */
	int64_t elapsed, work, slack = 2 * MSEC * slowness();
	pid_t alone;
	int h1, i1;

	CHECK(!kronos_initialize(&k, &config));
	CHECK(kronos_engine(k) == KRONOS_ENGINE_KERNEL);
	h1 = add("h1", 0.5, KRONOS_PACE_DILATED);
	i1 = add("i1", 1, KRONOS_PACE_INSTANT);
	strcpy(again.name, "h1");
	CHECK(kronos_add_host(k, &again) < 0);
	CHECK(strstr(kronos_error(k), "there is a host h1 already"));
	CHECK(kronos_find_host(k, "i1") == i1);
	CHECK(kronos_progress(k, MSEC, 1, -1) < 0);

	standalone[2] = (char *)(uintptr_t)kronos_socket(k);
	alone = start(standalone);
	CHECK(TRY(kronos_freeze(k, -1)) == 1);
	CHECK(kronos_now(k) == 0);
	real_time_passes();
	CHECK(time_to_end(alone) >= 300 * MSEC);
	watches();
	silent_tracer();

	/* Work takes twice its CPU time on this host, and none on the instant one. */
	work = work_of_host(h1);
	elapsed = time_to_end(start_on("h1", "sleep 1"));
	work = work_of_host(h1) - work;
	printf("sleep 1: %lld ns, %lld ns of work\n", (long long)elapsed, (long long)work);
	CHECK(elapsed >= SEC + 2 * work - slack && elapsed <= SEC + 2 * work + slack);
	CHECK(kronos_host_time(k, (uint32_t)h1) == kronos_now(k));
	start_on("h1", "while :; do :; done");
	work = work_of_host(h1);
	TRY(kronos_progress(k, MSEC, 200, -1));
	work = work_of_host(h1) - work;
	CHECK(work > 95 * MSEC - slack / 2 && work < 130 * MSEC + slack);
	CHECK(!kronos_kill_host(k, (uint32_t)h1));
	CHECK(time_to_end(start_on("i1", "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done")) <
	      2 * MSEC);

	CHECK(!kronos_stats(k, &sum));
	CHECK(sum.rounds == (uint64_t)(kronos_now(k) / MSEC) && sum.rounds_skipped > 900);
	TRY(kronos_thaw(k));
	usleep(1000);
	CHECK(!kronos_stop(k));
	usleep(1000);
	puts("EXIT-SUCCESS");
	return 0;
}
