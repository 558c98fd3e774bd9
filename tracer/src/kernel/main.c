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
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../common/messages.h"
#include "kronos_abi.h"
#include "kronos_module.h"

#define NSEC_PER_MSEC 1000000LL
#define FREE_READ_COST 100 /* ns, as in the user engine: loops on the clock end */

static int device = -1, listener = -1;
static int joining; /* an epoll of the listener, and of tracers that have connected */
static char socket_path[108];
static char *abort_script;
static int64_t epoch;
static uint32_t tracers_expected, tracers_joined;
static bool frozen;
static int watched;	     /* an epoll of what ends a progress ... */
static unsigned int watches; /* ... besides the descriptor that is waited for */

/* The hosts' names by their ids, from 1. */
static char (*names)[KRONOS_NAME_MAX];
static uint32_t host_count;

/* ---- the device -------------------------------------------------------- */

static int64_t call(unsigned long request, void *argument)
{
	int result = ioctl(device, request, argument);

	return result < 0 ? -errno : result;
}

static int64_t failed(struct kronos_reply *reply, int64_t error, const char *what)
{
	snprintf(reply->text, sizeof(reply->text), "%s: %s", what,
		 strerror((int)-error));
	return error;
}

static int64_t open_device(struct kronos_reply *reply)
{
	struct kronos_initialize init = {
		.size = sizeof(init),
		.abi = KRONOS_MODULE_ABI,
		.flags = KRONOS_INIT_KILL,
	};
	int64_t result;

	device = open(KRONOS_MODULE_DEVICE, O_RDWR | O_CLOEXEC);
	if (device < 0) {
		result = -errno;
		snprintf(reply->text, sizeof(reply->text),
			 "cannot open " KRONOS_MODULE_DEVICE
			 " (%s); fix: load the module (modprobe kronos), or "
			 "engine='user'",
			 strerror(errno));
		return result;
	}
	result = call(KRONOS_IOC_INITIALIZE, &init);
	if (result == -EBUSY)
		snprintf(reply->text, sizeof(reply->text),
			 "another experiment owns " KRONOS_MODULE_DEVICE
			 "; fix: stop it first");
	else if (result < 0)
		failed(reply, result, "the module refuses to begin");
	return result;
}

/* ---- tracers ----------------------------------------------------------- */

static uint32_t host_find(const char *name)
{
	for (uint32_t i = 0; i < host_count; i++)
		if (!strcmp(names[i], name))
			return i + 1;
	return 0;
}

static int64_t add_host(const struct kronos_host_config *config,
			struct kronos_reply *reply)
{
	bool free_work = config->counter == KRONOS_COUNTER_FREE ||
			 isinf(config->cpu_speed);
	struct kronos_host host = {
		.size = sizeof(host),
		.pace = config->pace == KRONOS_PACE_INSTANT ? KRONOS_MODULE_INSTANT :
							      KRONOS_MODULE_DILATED,
		.counter = free_work ? KRONOS_MODULE_WORK_FREE :
			   config->counter == KRONOS_COUNTER_INSTRUCTIONS ?
				       KRONOS_MODULE_INSTRUCTIONS :
				       KRONOS_MODULE_CPUTIME,
		.cost = free_work ? FREE_READ_COST : (uint64_t)(0x1p32 / config->cpu_speed),
	};
	int64_t id;

	if (host_find(config->name)) {
		snprintf(reply->text, sizeof(reply->text),
			 "there is a host %s already", config->name);
		return -EEXIST;
	}
	if (config->pace == KRONOS_PACE_REALTIME) {
		snprintf(reply->text, sizeof(reply->text),
			 "%s: the kernel engine has no pace 'realtime'; fix: "
			 "pace='instant'",
			 config->name);
		return -EOPNOTSUPP;
	}
	memcpy(host.name, config->name, sizeof(host.name));
	id = call(KRONOS_IOC_ADD_HOST, &host);
	if (id == -EOPNOTSUPP) {
		snprintf(reply->text, sizeof(reply->text),
			 "%s: no working instruction counter on this machine; fix: "
			 "counter='cputime' or 'free'",
			 config->name);
		return id;
	}
	if (id < 0)
		return failed(reply, id, config->name);
	names = realloc(names, (size_t)id * sizeof(*names));
	if (!names)
		abort();
	memcpy(names[id - 1], config->name, sizeof(*names));
	host_count = (uint32_t)id;
	return id;
}

/* Gives a standalone tracer its id and its host. */
static int64_t join_standalone(struct kronos_register *join, struct kronos_reply *reply)
{
	struct kronos_host_config config = {
		.cpu_speed = join->cpu_speed,
		.counter = join->counter,
	};
	int64_t result;

	if (join->tracer_id <= 0)
		join->tracer_id = (int32_t)tracers_joined + 1;
	snprintf(config.name, sizeof(config.name), "tracer-%d", join->tracer_id);
	memcpy(join->host, config.name, sizeof(join->host));
	result = add_host(&config, reply);
	if (result == -EEXIST)
		snprintf(reply->text, sizeof(reply->text),
			 "there is a tracer with id %d already", join->tracer_id);
	if (result >= 0)
		tracers_joined++;
	return result;
}

static void watch_in(int set, int operation, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	epoll_ctl(set, operation, fd, &event);
}

/* The tracer joins by itself, through the device. */
static void answer_tracer(int fd)
{
	static struct kronos_register_reply answer;
	struct kronos_reply reply = { 0 };
	struct kronos_register join;
	int64_t result = 0;

	if (recv(fd, &join, sizeof(join), MSG_DONTWAIT) == sizeof(join)) {
		if (join.waits) { /* sees this end closed when the experiment ends */
			watch_in(joining, EPOLL_CTL_DEL, fd);
			return;
		}
		join.host[sizeof(join.host) - 1] = '\0';
		if (join.standalone)
			result = join_standalone(&join, &reply);
		answer.kernel_host = host_find(join.host);
		answer.kernel_hold = frozen || join.standalone;
		answer.tracer_id = join.tracer_id;
		if (result >= 0 && !answer.kernel_host) {
			snprintf(reply.text, sizeof(reply.text), "unknown host %s",
				 join.host);
			result = -ENOENT;
		}
		answer.result = result < 0 ? (int32_t)result : 0;
		memcpy(answer.text, reply.text, sizeof(answer.text));
		message_send(fd, &answer, sizeof(answer), NULL, 0);
	}
	close(fd);
}

/* One that has connected may stand still before it asks: nobody waits for it here. */
static void take_tracers(void)
{
	struct epoll_event event;
	int fd;

	while (epoll_wait(joining, &event, 1, 0) > 0) {
		if (event.data.fd != listener) {
			answer_tracer(event.data.fd);
			continue;
		}
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return;
		watch_in(joining, EPOLL_CTL_ADD, fd);
	}
}

static bool pending(int fd, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, timeout_ms) > 0;
}

/* ---- requests ---------------------------------------------------------- */

static int64_t initialize(const struct kronos_request *request,
			  struct kronos_reply *reply)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct kronos_info info = { .size = sizeof(info) };
	int64_t result = open_device(reply);

	if (result < 0)
		return result;
	epoch = request->init.epoch_ns;
	tracers_expected = request->init.expected_tracers;
	memcpy(socket_path, request->init.socket_path, sizeof(socket_path));
	memcpy(address.sun_path, socket_path, sizeof(address.sun_path));
	unlink(socket_path);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (listener < 0 ||
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, 128))
		return failed(reply, -errno, socket_path);
	watch_in(joining, EPOLL_CTL_ADD, listener);
	call(KRONOS_IOC_INFO, &info);
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

/* Waits in real time, which still passes, for the tracers that are expected. */
static bool await_tracers(int64_t timeout_ms)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (tracers_joined < tracers_expected) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (timeout_ms >= 0 && (now.tv_sec - start.tv_sec) * 1000 +
				       (now.tv_nsec - start.tv_nsec) / NSEC_PER_MSEC >=
				       timeout_ms)
			return false;
		if (pending(KRONOS_CONTROL_FD, 0))
			return false; /* the orchestrator is gone */
		if (pending(joining, 10))
			take_tracers();
	}
	return true;
}

static int64_t freeze(int64_t timeout_ms, struct kronos_reply *reply)
{
	struct kronos_freeze freeze = {
		.size = sizeof(freeze),
		.timeout_ns = -1,
		.epoch_ns = epoch,
	};
	int64_t result;

	take_tracers();
	if (!await_tracers(timeout_ms)) {
		snprintf(reply->text, sizeof(reply->text),
			 "%u of %u tracers have registered", tracers_joined,
			 tracers_expected);
		return -EAGAIN;
	}
	result = call(KRONOS_IOC_FREEZE, &freeze);
	if (result < 0)
		return failed(reply, result, "the module cannot freeze");
	frozen = true;
	return tracers_joined;
}

static int64_t thaw(struct kronos_reply *reply)
{
	int64_t result = frozen ? call(KRONOS_IOC_THAW, NULL) : 0;

	if (result < 0)
		return failed(reply, result, "the module cannot thaw");
	frozen = false;
	return 0;
}

/* Progress ends in the round in which this is readable. The number is its own. */
static int64_t watch_fd(int *fd)
{
	int kept = *fd;

	if (kept < 0)
		return -EBADF;
	*fd = -1;
	watch_in(watched, EPOLL_CTL_ADD, kept);
	watches++;
	return kept;
}

static int64_t unwatch_fd(int fd)
{
	watch_in(watched, EPOLL_CTL_DEL, fd);
	close(fd);
	watches--;
	return 0;
}

static int64_t progress(const struct kronos_request *request, int until_fd,
			struct kronos_reply *reply)
{
	struct kronos_progress progress = {
		.size = sizeof(progress),
		.until_fd = watches || request->has_fd ? watched : -1,
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
	take_tracers();
	if (!request->arg[1])
		return 0;
	if (request->has_fd)
		watch_in(watched, EPOLL_CTL_ADD, until_fd);
	result = call(KRONOS_IOC_PROGRESS, &progress);
	if (request->has_fd)
		watch_in(watched, EPOLL_CTL_DEL, until_fd);
	return result < 0 ? failed(reply, result, "the module cannot progress") :
			    progress.done;
}

static int64_t clock_of(uint32_t host, int32_t tid, struct kronos_clock *clock,
			struct kronos_reply *reply)
{
	int64_t result;

	*clock = (struct kronos_clock){
		.size = sizeof(*clock), .host = host, .tid = tid
	};
	result = call(KRONOS_IOC_CLOCK, clock);
	if (result < 0)
		return failed(reply, result, tid ? "no dilated task" : "unknown host");
	return clock->now_ns;
}

/*
 * What a task does inside the kernel cannot be cut: its host may have run past
 * the round, and waits for it in the next ones. What it sees is the round's end.
 */
static int64_t host_time(uint32_t host, struct kronos_reply *reply)
{
	struct kronos_clock clock;
	int64_t now = clock_of(0, 0, &clock, reply);
	int64_t own = host ? clock_of(host, 0, &clock, reply) : now;

	return own < now ? own : now;
}

static int64_t host_stats(uint32_t host, struct kronos_reply *reply)
{
	struct kronos_clock clock;
	int64_t result = clock_of(host, 0, &clock, reply);

	reply->host_stats.cpu_ns = (uint64_t)clock.work_ns;
	return result < 0 ? result : 0;
}

static int64_t stats(struct kronos_reply *reply)
{
	struct kronos_module_stats stats = { .size = sizeof(stats) };
	int64_t result = call(KRONOS_IOC_STATS, &stats);

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

static int64_t kill_host(uint32_t host, struct kronos_reply *reply)
{
	struct kronos_kill kill = { .size = sizeof(kill), .host = host };
	int64_t result = call(KRONOS_IOC_KILL, &kill);

	return result < 0 ? failed(reply, result, "cannot end the host") : 0;
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
	struct kronos_clock clock;

	switch (request->op) {
	case KRONOS_OP_INITIALIZE:
		return initialize(request, reply);
	case KRONOS_OP_ADD_HOST:
		return add_host(&request->host, reply);
	case KRONOS_OP_FIND_HOST:
		return (int64_t)host_find(request->host.name) ?: -ENOENT;
	case KRONOS_OP_KILL_HOST:
		return kill_host(request->id, reply);
	case KRONOS_OP_ON_ABORT:
		return on_abort(request->command);
	case KRONOS_OP_FREEZE:
		return freeze(request->arg[0], reply);
	case KRONOS_OP_THAW:
		return thaw(reply);
	case KRONOS_OP_WATCH_FD:
		return watch_fd(fds);
	case KRONOS_OP_UNWATCH_FD:
		return unwatch_fd((int)request->arg[0]);
	case KRONOS_OP_PROGRESS:
		return progress(request, fds[0], reply);
	case KRONOS_OP_CLOCK:
		return host_time(request->id, reply);
	case KRONOS_OP_TASK_CLOCK:
		return clock_of(0, (int32_t)request->id, &clock, reply);
	case KRONOS_OP_STATS:
		return stats(reply);
	case KRONOS_OP_HOST_STATS:
		return host_stats(request->id, reply);
	case KRONOS_OP_STOP:
		return call(KRONOS_IOC_STOP, NULL);
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
	unlink(socket_path);
	close(device); /* from here on time is real */
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
		unlink(socket_path);
		_exit(0);
	}
}

static void on_usr1(int signal)
{
	int error = errno;

	(void)signal;
	ioctl(device, KRONOS_IOC_INTERRUPT);
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
	watched = epoll_create1(EPOLL_CLOEXEC);
	joining = epoll_create1(EPOLL_CLOEXEC);
	fds[1] = (struct pollfd){ .fd = joining, .events = POLLIN };
	take_request();
	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			take_tracers();
		if (fds[0].revents)
			take_request();
	}
}
