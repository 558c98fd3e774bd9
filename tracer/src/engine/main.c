// SPDX-License-Identifier: MIT
/*
 * The engine process: started by libkronos with the control socket as
 * descriptor 3. Sets itself up, tests what it depends on, then serves the
 * orchestrator's requests and the tracers that register.
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

#include "engine.h"

struct engine engine;

static pthread_mutex_t lock;
static char *abort_script; /* what is to be run if the orchestrator dies */
static char socket_path[108];
static struct kronos_join_reply join_reply; /* with the filter in it */

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

/*
 * The kernel ends every dilated process when this one ends. A shell that
 * outlives it then runs the clean-up commands, once they are gone.
 */
void engine_abort(void)
{
	const struct sched_param normal = { 0 };
	int pipe_fd[2];

	unlink(socket_path);
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

static int on_abort(const char *command)
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

/*
 * Two engines on one CPU would disturb each other's time. Byte N of a file that
 * every mount namespace has stands for CPU N; the lock ends with this process.
 */
static bool claim_cpu(int cpu)
{
	struct flock range = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = cpu,
		.l_len = 1,
	};
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	return fd < 0 || fcntl(fd, F_OFD_SETLK, &range) == 0;
}

/* The last allowed CPU that no other engine has; -1 if `wanted` is not allowed. */
static int choose_cpu(int wanted)
{
	cpu_set_t allowed;
	int last = -1;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return -1;
	for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
		if (!CPU_ISSET((unsigned int)cpu, &allowed) ||
		    (wanted >= 0 && cpu != wanted))
			continue;
		if (last < 0)
			last = cpu;
		if (claim_cpu(cpu))
			return cpu;
	}
	if (last >= 0)
		engine_warn("another experiment runs on CPU %d: both are slower, and "
			    "their clocks less exact; run one at a time",
			    last);
	return last;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

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
			now = clock_ns(CLOCK_MONOTONIC);
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
	(void)signal;
	engine.interrupted = true;
}

static void init_signals(void)
{
	struct sigaction action = { .sa_handler = on_usr1 };
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

static void init_descriptors(void)
{
	struct rlimit files;
	sigset_t set;

	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	engine.epoll = epoll_create1(EPOLL_CLOEXEC);
	engine.tap_epoll = epoll_create1(EPOLL_CLOEXEC);
	engine.inbox_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	watch(KRONOS_CONTROL_FD);
	watch(engine.listener);
	watch(engine.tap_epoll);
	watch(engine.inbox_event);
	/* Only wakes: the signal itself is taken by task_drain(). */
	watch(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

static int listen_at(const char *path, char *error, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path)) {
		snprintf(error, size, "socket path %s is too long", path);
		return -ENAMETOOLONG;
	}
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
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET((unsigned int)engine.cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) ||
	    sched_setscheduler(0, SCHED_FIFO, &param)) {
		snprintf(error, size,
			 "no real-time scheduling (%s); fix: run as root, in a "
			 "cgroup with cpu.rt_runtime_us above 0",
			 strerror(errno));
		return -errno;
	}
	return 0;
}

static int initialize(const struct kronos_request *request, char *text, size_t size)
{
	char why[KRONOS_ERROR_MAX];
	int result;

	engine.live = true;
	engine.epoch = request->init.epoch_ns;
	engine.tracers_expected = request->init.expected_tracers;
	engine.cpu = choose_cpu(request->init.cpu);
	if (engine.cpu < 0) {
		snprintf(text, size, "CPU %d is not allowed for this process",
			 request->init.cpu);
		return -EINVAL;
	}
	result = listen_at(request->init.socket_path, text, size);
	if (!result)
		result = set_scheduling(text, size);
	if (result)
		return result;
	init_signals();
	init_lock();
	measure_tsc();
	engine.realtime = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
	engine.boottime = clock_ns(CLOCK_BOOTTIME) - clock_ns(CLOCK_MONOTONIC);
	engine.tai = clock_ns(CLOCK_TAI) - clock_ns(CLOCK_MONOTONIC);
	result = latch_init(request->init.flags, why, sizeof(why));
	if (result) {
		snprintf(text, size, "%s", why);
		return result;
	}
	slice_init();
	inject_init();
	link_init(request->init.seed);
	init_descriptors();
	watchdog_start();
	join_reply.filter_len = (uint32_t)timed_filter(
		(struct sock_filter *)(void *)join_reply.filter, KRONOS_FILTER_MAX);
	snprintf(text, size,
		 "user engine on CPU %d: %s; cputime and free counters (no "
		 "instruction counter is used by this version); links on TAP",
		 engine.cpu, latch_name());
	return 0;
}

/* ---- tracers ----------------------------------------------------------- */

static struct host *join_host(const struct kronos_join *join, int32_t *tracer_id)
{
	struct kronos_host_config config = { .cpu_speed = join->cpu_speed };
	struct host *host;

	if (!join->standalone)
		return host_find(join->host);
	*tracer_id = join->tracer_id;
	if (*tracer_id <= 0)
		*tracer_id = (int32_t)engine.tracers_joined + 1;
	snprintf(config.name, sizeof(config.name), "tracer-%d", *tracer_id);
	if (host_find(config.name))
		return NULL;
	engine.tracers_joined++;
	host = host_add(&config);
	host->standalone = true;
	return host;
}

static void on_join(void)
{
	struct kronos_join_reply *reply = &join_reply;
	struct kronos_join join;
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct host *host;
	int fd = accept4(engine.listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	reply->result = -EPROTO;
	reply->tracer_id = 0;
	snprintf(reply->text, sizeof(reply->text), "not a tracer");
	if (recv(fd, &join, sizeof(join), 0) == sizeof(join) &&
	    !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size)) {
		join.host[sizeof(join.host) - 1] = '\0';
		host = join_host(&join, &reply->tracer_id);
		if (!host) {
			reply->result = -ENOENT;
			if (join.standalone)
				snprintf(reply->text, sizeof(reply->text),
					 "there is a tracer with id %d already",
					 reply->tracer_id);
			else
				snprintf(reply->text, sizeof(reply->text),
					 "unknown host %s", join.host);
		} else {
			reply->result = task_seize(peer.pid, host);
			snprintf(reply->text, sizeof(reply->text),
				 "cannot trace process %d: %s", peer.pid,
				 strerror(-reply->result));
		}
	}
	if (send(fd, reply, sizeof(*reply), MSG_NOSIGNAL) < 0)
		engine_warn("a tracer went away while it registered");
	close(fd);
}

static bool pending(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) > 0;
}

void engine_accept_tracers(void)
{
	while (pending(engine.listener))
		on_join();
}

/* ---- requests ---------------------------------------------------------- */

static int add_host(const struct kronos_host_config *config, char *text, size_t size)
{
	if (host_find(config->name)) {
		snprintf(text, size, "there is a host %s already", config->name);
		return -EEXIST;
	}
	if (!(config->cpu_speed > 0)) {
		snprintf(text, size, "cpu_speed of %s must be above 0", config->name);
		return -EINVAL;
	}
	if (config->counter == KRONOS_COUNTER_INSTRUCTIONS) {
		snprintf(text, size,
			 "%s: no working instruction counter on this machine; fix: "
			 "counter='cputime' or 'free'",
			 config->name);
		return -EOPNOTSUPP;
	}
	return (int)host_add(config)->id;
}

static int freeze(int64_t timeout_ms, char *text, size_t size)
{
	uint64_t start = tsc_now();

	engine.interrupted = false;
	while (engine.tracers_joined < engine.tracers_expected) {
		if (timeout_ms >= 0 &&
		    fixed_mul(tsc_now() - start, engine.ns_per_tsc) >=
			    timeout_ms * NSEC_PER_MSEC)
			engine.interrupted = true;
		if (engine.interrupted) {
			snprintf(text, size, "%u of %u tracers have registered",
				 engine.tracers_joined, engine.tracers_expected);
			return -EAGAIN;
		}
		rounds_live(10);
		engine_accept_tracers();
	}
	rounds_await_tracers();
	rounds_freeze();
	return (int)engine.tracers_joined;
}

static int64_t progress(const struct kronos_request *request, int fd, char *text,
			size_t size)
{
	if (engine.live) {
		snprintf(text, size, "not frozen: synchronize and freeze first");
		return -EINVAL;
	}
	if (request->arg[0] <= 0 || request->arg[1] < 0) {
		snprintf(text, size, request->arg[0] <= 0 ?
					     "timestep must be above 0" :
					     "number of rounds must not be negative");
		return -EINVAL;
	}
	return rounds_progress(request->arg[0], request->arg[1], fd);
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
	return (host ? host_now(host) : engine.live ? rounds_live_now() : engine.now) -
	       engine.origin;
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
	case KRONOS_OP_KILL_HOST:
		host = host_get(request->id);
		if (!host)
			return -ENOENT;
		host_kill(host);
		return 0;
	case KRONOS_OP_ADD_LINK:
		request->link.tap_fd[0] = fds[0];
		request->link.tap_fd[1] = fds[1];
		return link_add(&request->link, text, size);
	case KRONOS_OP_SET_LINK:
		return link_set(request->id, request->direction, &request->params);
	case KRONOS_OP_LINK_STATS:
		return link_stats(request->id, request->direction,
				  &reply->link_stats);
	case KRONOS_OP_ON_ABORT:
		return on_abort(request->command);
	case KRONOS_OP_FREEZE:
		return freeze(request->arg[0], text, size);
	case KRONOS_OP_THAW:
		if (!engine.live)
			rounds_thaw();
		return 0;
	case KRONOS_OP_PROGRESS:
		return progress(request, request->has_fd ? fds[0] : -1, text, size);
	case KRONOS_OP_CLOCK:
		return clock_of(request->id, text, size);
	case KRONOS_OP_STATS:
		reply->stats = engine.stats;
		reply->stats.hosts = engine.host_count;
		reply->stats.tasks = task_count();
		return 0;
	case KRONOS_OP_STOP:
		for (uint32_t i = 0; i < engine.host_count; i++)
			host_kill(engine.hosts[i]);
		unlink(socket_path);
		return 0;
	}
	return -ENOSYS;
}

static void on_request(void)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct kronos_request request = { 0 };
	struct kronos_reply reply = { 0 };
	struct iovec iov = { &request, sizeof(request) };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int fds[2] = { -1, -1 };
	struct cmsghdr *header;
	ssize_t size = recvmsg(KRONOS_CONTROL_FD, &message, MSG_CMSG_CLOEXEC);

	if (size == 0)
		engine_abort(); /* the orchestrator is gone */
	if (size != sizeof(request))
		return;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
	if (request.op == KRONOS_OP_INITIALIZE)
		reply.result = initialize(&request, reply.text, sizeof(reply.text));
	else
		reply.result = serve(&request, fds, &reply);
	/* Links keep theirs. */
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0 &&
		    (request.op != KRONOS_OP_ADD_LINK || reply.result < 0))
			close(fds[i]);
	if (send(KRONOS_CONTROL_FD, &reply, sizeof(reply), MSG_NOSIGNAL) < 0)
		engine_abort();
	if (request.op == KRONOS_OP_STOP ||
	    (request.op == KRONOS_OP_INITIALIZE && reply.result < 0))
		_exit(0);
}

/* ---- main -------------------------------------------------------------- */

int main(void)
{
	struct epoll_event event;

	prctl(PR_SET_NAME, "kronos-engine");
	close_range(KRONOS_CONTROL_FD + 1, ~0U, 0);
	fcntl(KRONOS_CONTROL_FD, F_SETFD, FD_CLOEXEC);
	if (fcntl(KRONOS_CONTROL_FD, F_GETFD) < 0) {
		engine_warn("kronos-engine is started by libkronos, not by hand");
		return 2;
	}
	on_request(); /* initialize */
	for (;;) {
		if (engine.live)
			rounds_live(-1);
		else
			epoll_wait(engine.epoll, &event, 1, -1);
		eventfd_clear(engine.inbox_event);
		task_drain();
		link_read_all();
		engine_accept_tracers();
		if (pending(KRONOS_CONTROL_FD))
			on_request();
	}
}
