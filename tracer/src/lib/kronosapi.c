// SPDX-License-Identifier: MIT
/*
 * libkronosapi: Kronos' API over libkronos, for programs that were written for
 * Kronos. There is one experiment in a process; a timeline of a co-simulation
 * is an engine of its own, and only one of them runs at a time.
 */
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "Kronos_functions.h"
#include "kronos_abi.h"
#include "kronosapi.h"
#include "own_tracers.h"

#define TIMELINES_MAX 64
#define JOIN_WAIT 1000 /* ms of real time in synchronizeAndFreeze() */

static struct {
	struct kronos *timeline[TIMELINES_MAX];
	int timelines; /* 0: there is no experiment */
	pid_t owner;   /* the process that has initialized it */
	int tracers;   /* that are expected, in all timelines */
	int type;
	bool frozen;
} experiment;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int complain(const char *function, const char *what)
{
	fprintf(stderr, "kronos: %s: %s\n", function, what);
	return -1;
}

static int complain_of(const char *function, const struct kronos *k)
{
	return complain(function, kronos_error(k));
}

const char no_experiment[] =
	"there is no experiment; fix: call initializeExp() first";
static const char not_frozen[] =
	"the experiment is not frozen; fix: call synchronizeAndFreeze() until it returns a positive value";

bool is_orchestrator(void)
{
	return experiment.timelines && experiment.owner == getpid();
}

/* ---- start and end ------------------------------------------------------ */

static void end_experiment(void)
{
	own_tracers_stop();
	for (int i = 0; i < experiment.timelines; i++)
		kronos_stop(experiment.timeline[i]);
	experiment.timelines = 0;
	experiment.frozen = false;
}

static bool is_served(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool served;

	strcpy(address.sun_path, path);
	served = fd >= 0 &&
		 !connect(fd, (struct sockaddr *)&address, sizeof(address));
	close(fd);
	return served;
}

/* One kernel has one clock: several timelines are the user engine's. */
static enum kronos_engine engine_for(int timelines)
{
	const char *wanted = getenv("KRONOS_ENGINE");

	if (wanted && !strcmp(wanted, "kernel"))
		return KRONOS_ENGINE_KERNEL;
	return timelines > 1 || (wanted && !strcmp(wanted, "user")) ? KRONOS_ENGINE_USER :
								       KRONOS_ENGINE_AUTO;
}

static int start_timeline(int number, s64 epoch, enum kronos_engine engine)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct kronos_config config = {
		.struct_size = sizeof(config),
		.epoch_ns = epoch,
		.socket_path = path,
		.cpu = -1,
		.flags = number ? KRONOS_F_SHARED_CPU : 0,
		.cpus = 1,
		.engine = engine,
	};

	if (kronos_socket_of(number, path, sizeof(path)))
		return complain("initializeExp", "the path in $KRONOS_SOCKET is too long");
	if (is_served(path))
		return complain("initializeExp",
				"another experiment is running; fix: stop it first");
	if (mkdir(KRONOS_RUN_DIR, 0755) && errno != EEXIST)
		return complain("initializeExp", "cannot make " KRONOS_RUN_DIR
						 "; fix: run as root");
	if (kronos_initialize(&experiment.timeline[number], &config))
		return complain_of("initializeExp", NULL);
	experiment.timelines++;
	return 0;
}

static bool is_taken(int id)
{
	char name[KRONOS_NAME_MAX];

	snprintf(name, sizeof(name), "tracer-%d", id);
	for (int i = 0; i < experiment.timelines; i++)
		if (kronos_find_host(experiment.timeline[i], name) > 0)
			return true;
	return false;
}

static int64_t time_of(int timeline)
{
	if (timeline < 0 || timeline >= experiment.timelines)
		return -1;
	return experiment.frozen ? kronos_now(experiment.timeline[timeline]) : 0;
}

/* Waits in real time, which is not the machine's while the kernel engine has frozen it. */
static int real_wait(int fd, int64_t ns)
{
	return kronos_real_wait(experiment.timeline[0], fd, ns);
}

/* Whoever ends, the socket of tracers of one's own goes with the experiment. */
static int hear_own_tracers(void)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)], command[sizeof(path) + 16];

	if (own_tracers_path(path, sizeof(path)) ||
	    own_tracers_listen(is_taken, time_of, real_wait))
		return complain("initializeExp", "cannot listen beside $KRONOS_SOCKET");
	snprintf(command, sizeof(command), "rm -f '%s'", path);
	return (int)kronos_on_abort(experiment.timeline[0], command);
}

static int start_experiment(int type, int timelines, int tracers)
{
	enum kronos_engine engine = engine_for(timelines);
	struct timeval now;

	if (experiment.timelines)
		return complain("initializeExp",
				"there is an experiment already; fix: call stopExp() first");
	if (timelines > 1 && engine == KRONOS_ENGINE_KERNEL)
		return complain("initializeVtExp",
				"a kernel has one clock, and each timeline one of its own; "
				"fix: KRONOS_ENGINE=user, or one timeline");
	gettimeofday(&now, NULL);
	experiment.type = type;
	experiment.tracers = tracers;
	experiment.owner = getpid();
	for (int i = 0; i < timelines; i++)
		/* Timelines that freeze one after the other show the same time. */
		if (start_timeline(i, timelines > 1 ? now.tv_sec * 1000000000LL : -1,
				   engine)) {
			end_experiment();
			return -1;
		}
	if (hear_own_tracers()) {
		end_experiment();
		return -1;
	}
	return 0;
}

int initializeVtExp(int exp_type, int num_timelines, int num_expected_tracers)
{
	int result;

	if (exp_type != EXP_CBE && exp_type != EXP_CS)
		return complain("initializeVtExp", "exp_type must be EXP_CBE or EXP_CS");
	if (num_expected_tracers < 0)
		return complain("initializeVtExp",
				"the number of tracers must not be negative");
	if (num_timelines <= 0 || num_timelines > TIMELINES_MAX)
		return complain("initializeVtExp", "timelines must be from 1 to 64");
	pthread_mutex_lock(&lock);
	result = start_experiment(exp_type, exp_type == EXP_CS ? num_timelines : 1,
				  num_expected_tracers);
	pthread_mutex_unlock(&lock);
	return result;
}

int initializeExp(int num_expected_tracers)
{
	return initializeVtExp(EXP_CBE, 1, num_expected_tracers);
}

int stopExp(void)
{
	int result = 0;

	pthread_mutex_lock(&lock);
	if (experiment.timelines)
		end_experiment();
	else
		result = complain("stopExp", no_experiment);
	pthread_mutex_unlock(&lock);
	return result;
}

/* ---- freeze and progress ------------------------------------------------ */

/* Tracers that have joined any timeline; each has a host, but for those of one's own. */
static int64_t tracers_joined(void)
{
	struct kronos_stats stats = { 0 };
	int64_t joined = own_tracers_joined();

	for (int i = 0; i < experiment.timelines; i++)
		if (!kronos_stats(experiment.timeline[i], &stats))
			joined += (int64_t)stats.hosts;
	return joined;
}

/* The user engine cannot trace what a tracer of one's own traces. */
static void tell_of_real_time(void)
{
	static bool told;
	char what[200];
	int tracer = own_tracers_with_processes();

	if (told || !tracer || kronos_engine(experiment.timeline[0]) == KRONOS_ENGINE_KERNEL)
		return;
	snprintf(what, sizeof(what),
		 "processes that tracer %d has added see real time with the user engine; "
		 "fix: start them with the tracer program, or use the kernel engine",
		 tracer);
	complain("addProcessesToTracerSq", what);
	told = true;
}

static int freeze(void)
{
	for (int waited = 0; tracers_joined() < experiment.tracers; waited += 10) {
		if (waited >= JOIN_WAIT)
			return 0;
		own_tracers_hear(10);
	}
	for (int i = 0; i < experiment.timelines; i++)
		if (kronos_freeze(experiment.timeline[i], 0) < 0)
			return complain_of("synchronizeAndFreeze",
					   experiment.timeline[i]);
	experiment.frozen = true;
	tell_of_real_time();
	return 1;
}

int synchronizeAndFreeze(void)
{
	int result;

	pthread_mutex_lock(&lock);
	result = !experiment.timelines ?
			 complain("synchronizeAndFreeze", no_experiment) :
			 freeze();
	pthread_mutex_unlock(&lock);
	return result;
}

static int progress(const char *function, int timeline, s64 duration, int rounds)
{
	struct kronos *k = experiment.timeline[timeline];
	int64_t left = rounds, done;

	own_tracers_hear(0);
	while (left > 0) {
		bool steps = own_tracers_step(timeline);

		own_tracers_begin(timeline, duration);
		done = kronos_progress(k, duration, steps ? 1 : left, -1);
		if (done < 0)
			return complain_of(function, k);
		if (done > 0)
			own_tracers_await(timeline);
		left -= done;
	}
	return 0;
}

/* NULL, or why the experiment cannot progress. */
static const char *unfit(s64 duration)
{
	return !experiment.timelines ? no_experiment :
	       !experiment.frozen    ? not_frozen :
	       duration <= 0	     ? "the duration must be above 0 ns" :
				       NULL;
}

int progressBy(s64 duration, int num_rounds)
{
	const char *wrong;
	int result = 0;

	pthread_mutex_lock(&lock);
	wrong = unfit(duration);
	if (wrong)
		result = complain("progressBy", wrong);
	for (int i = 0; i < experiment.timelines && !result; i++)
		result = progress("progressBy", i, duration,
				  num_rounds > 0 ? num_rounds : 1);
	pthread_mutex_unlock(&lock);
	return result;
}

int progressTimelineBy(int timeline_id, s64 duration)
{
	const char *wrong;
	int result;

	pthread_mutex_lock(&lock);
	wrong = unfit(duration);
	if (!wrong && experiment.type != EXP_CS)
		wrong = "timelines are of EXP_CS experiments; fix: call progressBy()";
	if (!wrong && (timeline_id < 0 || timeline_id >= experiment.timelines))
		wrong = "there is no such timeline";
	result = wrong ? complain("progressTimelineBy", wrong) :
			 progress("progressTimelineBy", timeline_id, duration, 1);
	pthread_mutex_unlock(&lock);
	return result;
}

/* ---- clocks ------------------------------------------------------------- */

/* The timeline whose clock is that of a tracer; NULL if there is none such. */
static struct kronos *timeline_of_tracer(int tracer_id)
{
	char name[KRONOS_NAME_MAX];
	int own = own_tracers_timeline(tracer_id);

	if (own >= 0)
		return experiment.timeline[own];
	snprintf(name, sizeof(name), "tracer-%d", tracer_id);
	for (int i = 0; i < experiment.timelines; i++)
		if (kronos_find_host(experiment.timeline[i], name) > 0)
			return experiment.timeline[i];
	return NULL;
}

static struct kronos *timeline_of_process(int pid)
{
	struct kronos_stats stats;
	struct kronos_task task;
	int own = own_tracers_timeline_of_process(pid);

	if (own >= 0)
		return experiment.timeline[own];
	for (int i = 0; i < experiment.timelines; i++) {
		struct kronos *k = experiment.timeline[i];

		if (kronos_engine(k) == KRONOS_ENGINE_KERNEL) {
			if (kronos_task_time(k, pid) >= 0)
				return k;
			continue;
		}
		if (kronos_stats(k, &stats))
			continue;
		for (uint32_t host = 1; host <= stats.hosts; host++)
			for (uint32_t n = 0; kronos_task(k, host, n, &task) > 0; n++)
				if (task.pid == pid || task.tid == pid)
					return k;
	}
	return NULL;
}

static s64 clock_of(const char *function, struct kronos *(*find)(int), int id)
{
	struct kronos *k;
	s64 result;

	pthread_mutex_lock(&lock);
	k = experiment.timelines ? find(id) : NULL;
	result = k ? kronos_now(k) :
		 complain(function, experiment.timelines ?
					    "there is no such dilated process" :
					    no_experiment);
	pthread_mutex_unlock(&lock);
	return result;
}

static struct kronos *first_timeline(int unused)
{
	(void)unused;
	return experiment.timeline[0];
}

s64 getCurrentVirtualTime(void)
{
	if (is_own_tracer())
		return own_tracer_time(getAssignedTracerID());
	return clock_of("getCurrentVirtualTime", first_timeline, 0);
}

s64 getCurrentTimeTracer(int tracer_id)
{
	if (is_own_tracer())
		return own_tracer_time(tracer_id);
	return clock_of("getCurrentTimeTracer", timeline_of_tracer, tracer_id);
}

s64 getCurrentTimePid(int pid)
{
	return clock_of("getCurrentTimePid", timeline_of_process, pid);
}

/* ---- devices ------------------------------------------------------------ */

int setNetDeviceOwner(int tracer_id, char *intf_name)
{
	static bool told;
	const char *wrong = NULL;
	bool kernel;

	pthread_mutex_lock(&lock);
	kernel = experiment.timelines &&
		 kronos_engine(experiment.timeline[0]) == KRONOS_ENGINE_KERNEL;
	if (!experiment.timelines)
		wrong = no_experiment;
	else if (!intf_name || !*intf_name || strlen(intf_name) >= IFNAMSIZ)
		wrong = "the interface's name must have 1 to 15 characters";
	else if (tracer_id < 0 || (tracer_id && !timeline_of_tracer(tracer_id)))
		wrong = "there is no such tracer";
	else if (!told && !kernel) /* whose clock is every interface's */
		complain("setNetDeviceOwner",
			 "frames of the kernel's own interfaces travel in real time with "
			 "the user engine; fix: use mininet_kronos' links, or the kernel engine");
	told |= !wrong;
	pthread_mutex_unlock(&lock);
	return wrong ? complain("setNetDeviceOwner", wrong) : 0;
}

/* ---- tracers ------------------------------------------------------------ */

/* The engine never sends anything: its end of the connection closes with it. */
int waitForExit(int tracer_id)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct kronos_register wait = { .waits = 1 };
	struct pollfd ended = { .events = POLLIN };

	if (tracer_id < 0)
		return complain("waitForExit", "a tracer's id is a number from 1");
	if (kronos_socket_of(0, address.sun_path, sizeof(address.sun_path)))
		return complain("waitForExit", "the path in $KRONOS_SOCKET is too long");
	ended.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (ended.fd < 0 ||
	    connect(ended.fd, (struct sockaddr *)&address, sizeof(address))) {
		close(ended.fd);
		return complain("waitForExit", no_experiment);
	}
	if (send(ended.fd, &wait, sizeof(wait), MSG_NOSIGNAL) < 0) {
		close(ended.fd);
		return 0; /* it has just ended */
	}
	while (poll(&ended, 1, -1) < 0 && errno == EINTR)
		;
	close(ended.fd);
	return 0;
}
