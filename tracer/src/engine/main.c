// SPDX-License-Identifier: MIT
/*
 * The engine process: started by libkronos with the control socket as
 * descriptor 3. Sets itself up, tests what it depends on, then serves requests.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <linux/filter.h>

#include "charge.h"
#include "clocks.h"
#include "conductor.h"
#include "counter.h"
#include "cpus.h"
#include "engine.h"
#include "inject.h"
#include "latch.h"
#include "links.h"
#include "requests.h"
#include "rounds.h"
#include "stamps.h"
#include "stops.h"
#include "task.h"
#include "tracers.h"
#include "watchdog.h"
#include "wire.h"
#include "workers.h"

#define FILES_MAX 1048576 /* the kernel's own default limit (fs.nr_open) */

struct engine engine;

static pthread_mutex_t lock;
static char *abort_script; /* what is to be run if the orchestrator dies */
static char socket_path[108];

/* ---- small services ---------------------------------------------------- */

void engine_lock(void)
{
	pthread_mutex_lock(&lock);
}

void engine_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void engine_warn(const char *format, ...)
{
	char line[512];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (length > (int)sizeof(line) - 2)
		length = (int)sizeof(line) - 2;
	dprintf(STDERR_FILENO, "kronos: %.*s\n", length, line);
}

void engine_bug(const char *file, int line, const char *what)
{
	engine_warn("engine bug at %s:%d: %s (%s); now %lld, %zu tasks", file, line,
		    what, strerror(errno), (long long)engine.now, task_count());
	engine_abort();
}

void *xrealloc(void *data, size_t size)
{
	data = realloc(data, size);
	if (!data)
		engine_bug(__FILE__, __LINE__, "out of memory");
	return data;
}

void *xcalloc(size_t size)
{
	return memset(xrealloc(NULL, size), 0, size);
}

void eventfd_signal(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return; /* it is signalled already */
}

void eventfd_clear(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return; /* it was not signalled */
}

bool fd_is_readable(int fd)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };

	return poll(&readable, 1, 0) > 0;
}

void engine_remove_socket(void)
{
	unlink(socket_path);
}

/*
 * The kernel ends every dilated process when this one ends. A shell that
 * outlives it then runs the clean-up commands, once they are gone.
 */
void engine_abort(void)
{
	const struct sched_param normal = { 0 };
	int pipe_fd[2];

	engine_remove_socket();
	if (abort_script && !pipe(pipe_fd) && fork() == 0) {
		sched_setscheduler(0, SCHED_OTHER, &normal);
		setsid();
		dup2(pipe_fd[0], STDIN_FILENO);
		close_range(STDERR_FILENO + 1, ~0U, 0);
		/* cat ends when the engine and its end of the pipe are gone. */
		execl("/bin/sh", "sh", "-c", abort_script, NULL);
		_exit(127);
	}
	_exit(1);
}

int engine_on_abort(const char *command)
{
	static const char prologue[] = "cat >/dev/null; sleep 0.2; exec </dev/null\n";
	size_t size = abort_script ? strlen(abort_script) : 0;

	if (!abort_script) {
		abort_script = xcalloc(sizeof(prologue));
		memcpy(abort_script, prologue, sizeof(prologue));
		size = sizeof(prologue) - 1;
	}
	abort_script = xrealloc(abort_script, size + strlen(command) + 2);
	sprintf(abort_script + size, "%s\n", command);
	return 0;
}

/* ---- start ------------------------------------------------------------- */

/* The TSC's rate against CLOCK_MONOTONIC, from the tightest of some readings. */
static void measure_tsc(void)
{
	const struct timespec nap = { .tv_nsec = 20 * NSEC_PER_MSEC };
	uint64_t tsc[2] = { 0 }, before, after, gap;
	int64_t ns[2] = { 0 };

	for (int i = 0; i < 2; i++) {
		gap = UINT64_MAX;
		for (int n = 0; n < 20; n++) {
			int64_t now;

			before = tsc_now();
			now = real_clock(CLOCK_MONOTONIC);
			after = tsc_now();
			if (after - before < gap) {
				gap = after - before;
				tsc[i] = before + gap / 2;
				ns[i] = now;
			}
		}
		if (i == 0)
			nanosleep(&nap, NULL);
	}
	engine.tsc_per_ns = (double)(tsc[1] - tsc[0]) / (double)(ns[1] - ns[0]);
	engine.ns_per_tsc = (uint64_t)(0x1p32 / engine.tsc_per_ns);
	engine.live_tsc = tsc[1];
	engine.live_base = ns[1];
}

static void init_lock(void)
{
	pthread_mutexattr_t attributes;

	/* The watchdog may preempt the worker while it holds the lock. */
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&lock, &attributes);
}

static void on_usr1(int signal)
{
	int error = errno;

	(void)signal;
	rounds_interrupt();
	errno = error;
}

static void init_signals(void)
{
	/* What sleeps in the engine is woken by the eventfd. */
	struct sigaction action = { .sa_handler = on_usr1, .sa_flags = SA_RESTART };
	sigset_t set;

	/* Its end would be the end of every dilated process: only requests do. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void watch(int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	engine_assert(!epoll_ctl(engine.epoll, EPOLL_CTL_ADD, fd, &event));
}

/* Each task and each link takes some; who may, takes more than the limit allows. */
static void raise_file_limit(void)
{
	struct rlimit files = { FILES_MAX, FILES_MAX };

	if (!setrlimit(RLIMIT_NOFILE, &files) || getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

static void init_descriptors(void)
{
	sigset_t set;

	raise_file_limit();
	engine.epoll = epoll_create1(EPOLL_CLOEXEC);
	engine.tap_epoll = epoll_create1(EPOLL_CLOEXEC);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	watch(KRONOS_CONTROL_FD);
	tracers_watch();
	watch(engine.tap_epoll);
	watch(engine.wake);
	/* Only wakes: the signal itself is taken by task_drain(). */
	watch(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

static int listen_at(const char *path, char *error, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(address.sun_path, path);
	strcpy(socket_path, path);
	unlink(path);
	engine.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (engine.listener < 0 ||
	    bind(engine.listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(engine.listener, 128)) {
		snprintf(error, size, "cannot listen at %s: %s", path,
			 strerror(errno));
		return -errno;
	}
	return 0;
}

static int set_scheduling(char *error, size_t size)
{
	const struct sched_param param = { .sched_priority = PRIO_WORKER };

	if (cpus_pin(0, engine.cpu) ||
	    sched_setscheduler(0, SCHED_FIFO, &param)) {
		snprintf(error, size,
			 "no real-time scheduling (%s); fix: run as root, in a "
			 "cgroup with cpu.rt_runtime_us above 0",
			 strerror(errno));
		return -errno;
	}
	return 0;
}

/* What each worker has of its own. */
static void init_worker(uint64_t seed)
{
	init_lock();
	link_init(seed);
	init_descriptors();
	watchdog_start();
	stops_signal(false);
	carrier_init();
	workers_watch();
}

static uint64_t workers_seed;

static _Noreturn void serve_as_worker(void)
{
	socket_path[0] = '\0'; /* the first worker's to remove */
	latch_own();
	init_worker(workers_seed);
	for (;;)
		requests_serve();
}

static void describe(const int *cpus, char *text, size_t size)
{
	int length = snprintf(text, size, "user engine on CPU ");

	for (uint32_t i = 0; i < engine.workers && (size_t)length < size; i++)
		length += snprintf(text + length, size - (size_t)length, "%s%d",
				   i ? ", " : "", cpus[i]);
	if ((size_t)length < size)
		snprintf(text + length, size - (size_t)length,
			 ": %s; cputime and free counters, %s (%s); links on TAP",
			 latch_name(),
			 counter_works() ? "instructions" : "no instruction counter",
			 counter_name());
}

int engine_initialize(const struct kronos_request *request, char *text, size_t size)
{
	int cpus[WORKERS_MAX];
	int result;

	engine.live = true;
	engine.epoch = request->init.epoch_ns;
	engine.tracers_expected = request->init.expected_tracers;
	result = cpus_choose(request, cpus, text, size);
	if (!result)
		result = listen_at(request->init.socket_path, text, size);
	if (!result)
		result = set_scheduling(text, size);
	if (result)
		return result;
	conductor_init();
	wire_init();
	frames_init();
	init_signals();
	measure_tsc();
	engine.realtime = real_clock(CLOCK_REALTIME) - real_clock(CLOCK_MONOTONIC);
	engine.boottime = real_clock(CLOCK_BOOTTIME) - real_clock(CLOCK_MONOTONIC);
	engine.tai = real_clock(CLOCK_TAI) - real_clock(CLOCK_MONOTONIC);
	result = charge_init(text, size);
	if (!result)
		result = latch_init(request->init.flags, text, size);
	if (result)
		return result;
	counter_init();
	inject_init();
	stamps_init();
	workers_seed = request->init.seed;
	workers_start(cpus, serve_as_worker);
	init_worker(workers_seed);
	describe(cpus, text, size);
	return 0;
}

/* ---- main -------------------------------------------------------------- */

int main(void)
{
	prctl(PR_SET_NAME, "kronos-engine");
	close_range(KRONOS_CONTROL_FD + 1, ~0U, 0);
	fcntl(KRONOS_CONTROL_FD, F_SETFD, FD_CLOEXEC);
	if (fcntl(KRONOS_CONTROL_FD, F_GETFD) < 0) {
		engine_warn("kronos-engine is started by libkronos, not by hand");
		return 2;
	}
	requests_initialize();
	for (;;)
		requests_serve();
}
