/* SPDX-License-Identifier: MIT */
/*
 * libkronos: drive one experiment in virtual time.
 *
 * The five stages are kronos_initialize(), start commands under tracers (the
 * `tracer` binary, given kronos_socket()), kronos_freeze(), kronos_progress()
 * and kronos_stop(). The functions talk to an engine process of their own; if
 * the calling process dies, in any way, the engine ends every dilated process,
 * runs the registered clean-up commands and exits.
 *
 * Times are int64_t nanoseconds of virtual time since the freeze unless said
 * otherwise. Functions return 0 or a positive value, or a negative errno;
 * kronos_error() then has one line that says what is wrong and how to fix it.
 * One thread at a time may use an experiment; kronos_interrupt() alone is
 * async-signal-safe.
 */
#ifndef KRONOS_H
#define KRONOS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KRONOS_NAME_MAX 64	/* a host's name, with its final NUL */

/* What computation costs a host. */
enum kronos_counter {
	KRONOS_COUNTER_AUTO = 0,	 /* cputime */
	KRONOS_COUNTER_INSTRUCTIONS = 1, /* instructions / cpu_speed */
	KRONOS_COUNTER_CPUTIME = 2,	 /* CPU nanoseconds / cpu_speed */
	KRONOS_COUNTER_FREE = 3,	 /* nothing; a clock read or yield a fixed cost */
};

/* How a logical process takes part. */
enum kronos_pace {
	KRONOS_PACE_DILATED = 0, /* its clock moves with the work it does */
	KRONOS_PACE_INSTANT = 1, /* it answers in zero virtual time */
	KRONOS_PACE_REALTIME = 2, /* not dilated; virtual time does not skip over what it does */
};

/* What freezes and steps. */
enum kronos_engine {
	KRONOS_ENGINE_AUTO = 0,	  /* kernel if its module is loaded, else user */
	KRONOS_ENGINE_USER = 1,	  /* traces processes */
	KRONOS_ENGINE_KERNEL = 2, /* a module makes the whole machine's time virtual */
};

struct kronos;

struct kronos_config {
	uint32_t struct_size;	    /* sizeof(struct kronos_config) */
	uint32_t expected_tracers;  /* kronos_freeze() waits for as many; 0: none */
	uint64_t seed;		    /* of every random generator of the links */
	int64_t epoch_ns;	    /* CLOCK_REALTIME at the freeze; < 0: go on from now */
	const char *engine_path;    /* the kronos-engine binary; NULL: beside the library */
	const char *socket_path;    /* where tracers register; NULL: below /run/kronos */
	int32_t cpu;		    /* CPU that runs the dilated processes; < 0: chosen */
	uint32_t flags;		    /* KRONOS_F_* */
	uint32_t cpus;		    /* so many CPUs, if cpu is < 0; 0: one */
	uint32_t engine;	    /* enum kronos_engine */
};

#define KRONOS_F_NO_BPF_LATCH 1u  /* not even where the kernel has it */
#define KRONOS_F_NO_BPF 2u	  /* as on a kernel without BTF or BPF */
#define KRONOS_F_SHARED_CPU 4u	  /* the caller runs one of its experiments at a time */

/* Of a timestep, a delay or a jitter, in ns: ten years, so that sums of them can be counted. */
#define KRONOS_DURATION_MAX 315360000000000000LL
#define KRONOS_CORES_MAX 1024
/* Of cpu_speed, besides INFINITY: what clocks can be reckoned with. */
#define KRONOS_SPEED_MIN 1e-6
#define KRONOS_SPEED_MAX 1e6

struct kronos_host_config {
	uint32_t struct_size;
	uint32_t pace;	   /* enum kronos_pace */
	uint32_t counter;  /* enum kronos_counter */
	uint32_t reserved;
	uint32_t place;	   /* N: on the Nth CPU of the engine's; 0: chosen. Hosts that
			    * reach each other other than by links need the same. */
	uint32_t cores;	   /* virtual CPUs; 0: one */
	double cpu_speed;  /* of each: work per ns of virtual time; INFINITY: free */
	char name[KRONOS_NAME_MAX];
};

/* Of jitter; all with mean 0. jitter_ns is one standard deviation, or half the
 * width of the uniform one. The last three end at 4 jitter_ns, as netem's. */
enum kronos_distribution {
	KRONOS_UNIFORM = 0,
	KRONOS_NORMAL = 1,
	KRONOS_PARETO = 2,
	KRONOS_PARETONORMAL = 3,
};

#define KRONOS_LINK_RED 1u		/* TCLink's RED, which drops */
#define KRONOS_LINK_ECN 2u		/* ... which marks those that understand it */
#define KRONOS_LINK_JITTER_REORDERS 4u	/* else no frame overtakes another by jitter */

#define KRONOS_PROBABILITIES 12

/*
 * One direction of a link: a server with a queue, then the models of netem.
 * Probabilities and correlations are 0..1.
 */
struct kronos_link_params {
	double bw_bps;		 /* bits per second, at least 1; 0: infinite */
	int64_t delay_ns;
	int64_t jitter_ns;
	int64_t max_queue;	 /* frames, waiting and in service; 0: unlimited */
	int64_t max_queue_bytes; /* of them; 0: unlimited */
	uint32_t flags;		 /* KRONOS_LINK_* */
	uint32_t distribution;	 /* enum kronos_distribution */
	uint32_t reorder_gap;	 /* every so many frames one may be reordered; 0: 1 */
	uint32_t reserved;
	double loss;
	union {
		struct {
			double loss_correlation, delay_correlation;
			/* Gilbert-Elliott, instead of loss: good to bad, bad to good,
			 * loss in the bad and in the good state. */
			double ge_p, ge_r, ge_bad_loss, ge_good_loss;
			double duplicate, duplicate_correlation;
			double corrupt, corrupt_correlation; /* one bit */
			double reorder, reorder_correlation; /* without delay */
		};
		double probabilities[KRONOS_PROBABILITIES];
	};
};

/* A link between two TAP devices whose descriptors the engine takes over. */
struct kronos_link_config {
	uint32_t struct_size;
	uint32_t host[2];    /* ids of the hosts that own the ends */
	int32_t tap_fd[2];   /* duplicated by the engine; close yours */
	struct kronos_link_params dir[2]; /* [0]: from end 0 to end 1 */
	char name[2][16];    /* interface names */
};

#define KRONOS_LINK_COUNTS 16

struct kronos_link_stats {
	union {
		struct {
			uint64_t tx_frames, tx_bytes; /* accepted from the sender */
			uint64_t rx_frames, rx_bytes; /* delivered to the receiver */
			uint64_t dropped_queue, dropped_loss;
			uint64_t late;		/* the receiver's clock was past the arrival */
			uint64_t queued;	/* now: in flight or in the queue */
			uint64_t queue_frames, queue_bytes; /* now: waiting or being sent */
			uint64_t dropped_red, dropped_down; /* down: the receiver's end is */
			uint64_t duplicated, corrupted, reordered;
			uint64_t marked;	/* by ECN */
		};
		uint64_t count[KRONOS_LINK_COUNTS];
	};
	int64_t max_late_ns;
};

/*
 * A relay: who connects to the listening socket is connected to the port of
 * 127.0.0.1, and what is written at either end takes the delay.
 */
struct kronos_relay_config {
	uint32_t struct_size;
	uint32_t host[2];    /* who connects, and who listens at the port; place 1 */
	int32_t listener;    /* duplicated by the engine; close yours */
	uint32_t port;
	uint32_t reserved;
	int64_t delay_ns;    /* in each direction */
};

struct kronos_stats {
	uint64_t rounds;	/* counted, also those passed over */
	uint64_t rounds_skipped;
	uint64_t slices;	/* times a task was let run */
	uint64_t stops;		/* ptrace stops handled */
	uint64_t frames;	/* delivered by the links */
	uint64_t late_frames;
	uint64_t hosts, tasks;	/* now */
};

struct kronos_host_stats {
	uint64_t cpu_ns;	/* real CPU time that its tasks were charged for */
	uint64_t slices;	/* times that one of them was let run */
	uint64_t tasks;		/* now */
};

/* Where a host stands. */
struct kronos_host_status {
	int64_t clock;	  /* as kronos_host_time() */
	int64_t next;	  /* when it can act again; INT64_MAX: nothing is due */
	uint32_t tasks;	  /* threads of its processes */
	uint32_t pace;	  /* enum kronos_pace */
	uint32_t counter; /* enum kronos_counter, never auto */
	uint32_t reserved;
	double cpu_speed;
};

enum kronos_task_state {
	KRONOS_TASK_JOINING = 0, /* its tracer has not yet executed its command */
	KRONOS_TASK_READY = 1,	 /* it wants to run */
	KRONOS_TASK_WAITING = 2, /* in the kernel, mostly in a system call */
	KRONOS_TASK_STOPPED = 3, /* by SIGSTOP and the like */
};

/* Where one task of a host stands. */
struct kronos_task {
	int32_t pid, tid;
	uint32_t state;	   /* enum kronos_task_state */
	uint32_t reserved;
	int64_t deadline;  /* when the call that it waits in times out; INT64_MAX: never */
	char call[32];	   /* that system call, or empty */
	char program[16];  /* as in /proc/PID/comm */
};

/* Stage 1: start the engine; until the freeze virtual time follows real time. */
int kronos_initialize(struct kronos **out, const struct kronos_config *config);

/* Where tracers register (tracer --socket). Valid until kronos_stop(). */
const char *kronos_socket(const struct kronos *k);

/* One line that says which mechanisms the self-test chose, and why. */
const char *kronos_mechanisms(const struct kronos *k);

/* Stage 2: declare a host (logical process); returns its id, from 1. */
int kronos_add_host(struct kronos *k, const struct kronos_host_config *config);
/* The id of a host; -ENOENT if there is none of this name. */
int kronos_find_host(struct kronos *k, const char *name);
/* End every task of a host with SIGKILL and wait until they are gone. */
int kronos_kill_host(struct kronos *k, uint32_t host);
/* End every task of a host for good: another host may have its name. */
int kronos_remove_host(struct kronos *k, uint32_t host);
/* Returns the link's id, from 0. */
int kronos_add_link(struct kronos *k, const struct kronos_link_config *config);
/* Its devices go; what is on its way is lost. */
int kronos_remove_link(struct kronos *k, uint32_t link);
int kronos_set_link(struct kronos *k, uint32_t link, uint32_t direction,
		    const struct kronos_link_params *params);
int kronos_link_stats(struct kronos *k, uint32_t link, uint32_t direction,
		      struct kronos_link_stats *stats);
int kronos_add_relay(struct kronos *k, const struct kronos_relay_config *config);
/*
 * Sends every frame that either end of the link sends to `socket` as well, one
 * end of a datagram socket pair, until the other end is closed. With a filter
 * on that end (SO_ATTACH_FILTER) and as until_fd it stops a kronos_progress().
 */
int kronos_watch_link(struct kronos *k, uint32_t link, int socket);
/*
 * What an end of a link sends and receives, to a pcap file with stamps of
 * virtual time in ns; the descriptor is duplicated. < 0 ends the capture.
 */
int kronos_capture(struct kronos *k, uint32_t link, uint32_t end, int fd);
/* A shell command that the engine runs if the caller dies before kronos_stop(). */
int kronos_on_abort(struct kronos *k, const char *command);

/* Stage 3: freeze. A negative timeout waits for expected tracers without end (ms, real time). */
int kronos_freeze(struct kronos *k, int timeout_ms);
/* Virtual time follows real time again, until the next freeze. */
int kronos_thaw(struct kronos *k);

/*
 * Stage 4: rounds of timestep_ns until num_rounds are done or until_fd (if
 * >= 0) is readable, in the round in which it becomes so. Returns the number
 * of rounds done, fewer where virtual time ends, after a century. If nothing
 * can ever happen any more while until_fd is waited for, waits in real time for
 * something from outside.
 */
int64_t kronos_progress(struct kronos *k, int64_t timestep_ns,
			int64_t num_rounds, int until_fd);
/*
 * From now on every kronos_progress() ends in the round in which this is
 * readable, too; returns the number to unwatch it by.
 */
int kronos_watch_fd(struct kronos *k, int fd);
int kronos_unwatch_fd(struct kronos *k, int number);
/*
 * Keeps event_fd, an eventfd, readable while a process of the host waits for
 * nothing but what is typed at its terminal (the device number of its slave).
 * A host has one at a time. The user engine's.
 */
int kronos_watch_terminal(struct kronos *k, uint32_t host, uint64_t device, int event_fd);
/* Ends a running kronos_progress() after its round; from any thread or signal handler. */
void kronos_interrupt(struct kronos *k);

/* Clocks, in ns since the freeze. */
int64_t kronos_now(struct kronos *k);
int64_t kronos_host_time(struct kronos *k, uint32_t host);
/* A task's, under the kernel engine; an error if it is not dilated. */
int64_t kronos_task_time(struct kronos *k, int32_t tid);
/*
 * Real time from some start, which passes under the kernel engine as well while
 * the machine's clocks stand; and a wait in it until fd (< 0: none) is readable
 * or its other end closed: 1, 0 at the timeout (< 0: no limit), -EINTR.
 */
int64_t kronos_real_time(const struct kronos *k);
int kronos_real_wait(const struct kronos *k, int fd, int64_t timeout_ns);
/* Which engine runs: never KRONOS_ENGINE_AUTO. */
enum kronos_engine kronos_engine(const struct kronos *k);
int kronos_stats(struct kronos *k, struct kronos_stats *stats);
int kronos_host_stats(struct kronos *k, uint32_t host, struct kronos_host_stats *stats);
int kronos_host_status(struct kronos *k, uint32_t host,
		       struct kronos_host_status *status);
/* A host's tasks by number, from 0, the youngest first; 1, or 0 if it has no more. */
int kronos_task(struct kronos *k, uint32_t host, uint32_t number,
		struct kronos_task *task);

/* Stage 5: end all dilated processes and the engine; frees k. */
int kronos_stop(struct kronos *k);

/* The last failure in one line; k may be NULL after a failed kronos_initialize(). */
const char *kronos_error(const struct kronos *k);

#ifdef __cplusplus
}
#endif
#endif /* KRONOS_H */
