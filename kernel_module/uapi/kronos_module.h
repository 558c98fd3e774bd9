/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * /dev/kronos: what the module and programs say to each other.
 *
 * One process at a time owns an experiment: the one whose descriptor was given
 * KRONOS_IOC_INITIALIZE. Its stages are the library's: initialize, add hosts and
 * let tasks join them, freeze, progress, stop. When the owner closes the
 * descriptor or dies, in any way, the machine's clock runs free again and
 * nothing is held any more. Any other descriptor may ask for information, join
 * its own task to a host, and wait. Every descriptor is readable, for poll() and
 * KRONOS_IOC_WAIT, while nobody owns an experiment.
 *
 * Every structure starts with its own size: a newer module accepts an older
 * program's structures, and an older module refuses (E2BIG) those of a newer
 * program that sets what it does not know. Unused bits and `reserved` are 0.
 * Times are nanoseconds. "Virtual time" counts from the first freeze.
 *
 * Errors that every call may return: EINVAL (a value out of range, or the wrong
 * stage), EPERM (not the owner), E2BIG (see above), EFAULT.
 */
#ifndef KRONOS_MODULE_H
#define KRONOS_MODULE_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define KRONOS_MODULE_DEVICE "/dev/kronos"
#define KRONOS_MODULE_ABI 1
#define KRONOS_MODULE_NAME_MAX 64

enum kronos_module_state {
	KRONOS_STATE_FREE = 0,	  /* nobody has initialized an experiment */
	KRONOS_STATE_LIVE = 1,	  /* initialized or thawed: clocks follow real time */
	KRONOS_STATE_FROZEN = 2,  /* clocks and dilated tasks stand still */
	KRONOS_STATE_RUNNING = 3, /* in KRONOS_IOC_PROGRESS */
};

/* What this machine can do: bits of kronos_info.features. */
#define KRONOS_FEATURE_INSTRUCTIONS (1u << 0) /* the PMU counts instructions */
#define KRONOS_FEATURE_RDTSC (1u << 1)	      /* rdtsc of dilated tasks is virtual */

/* Any descriptor, in any stage. */
struct kronos_info {
	__u32 size;
	__u32 abi;	/* out: KRONOS_MODULE_ABI of the module */
	__u32 state;	/* out: enum kronos_module_state */
	__u32 features; /* out */
	__s32 owner;	/* out: pid, 0: none */
	__u32 cpus;	/* out: CPUs that are online */
};

/* The stop, wanted or not, ends all dilated tasks with SIGKILL. */
#define KRONOS_INIT_KILL (1u << 0)

/* Makes the caller the owner. EBUSY: there is one already. */
struct kronos_initialize {
	__u32 size;
	__u32 abi;		/* KRONOS_MODULE_ABI; EPROTO if the module's differs */
	__u32 flags;		/* KRONOS_INIT_* */
	__u32 expected_tracers; /* KRONOS_IOC_FREEZE waits for as many */
};

enum kronos_module_pace {
	KRONOS_MODULE_DILATED = 0, /* the host's clock moves with its work */
	KRONOS_MODULE_INSTANT = 1, /* its work takes no virtual time */
};

enum kronos_module_counter {
	KRONOS_MODULE_CPUTIME = 0,	/* nanoseconds of CPU time */
	KRONOS_MODULE_INSTRUCTIONS = 1, /* EOPNOTSUPP without the feature */
	KRONOS_MODULE_WORK_FREE = 2,	/* none; each reading of a clock takes `cost` ns */
};

/* By the owner. Returns the host's id, from 1. ENOSPC: too many. */
struct kronos_host {
	__u32 size;
	__u32 pace;    /* enum kronos_module_pace */
	__u32 counter; /* enum kronos_module_counter */
	__u32 cores;   /* tasks that run at once; 0 is 1, at most 1024 */
	/*
	 * Virtual nanoseconds that a unit of work (a nanosecond of CPU time, or an
	 * instruction in user mode) takes, times 2^32: for a relative CPU speed
	 * s, 2^32 / s. 0: 2^32.
	 */
	__u64 cost;
	char name[KRONOS_MODULE_NAME_MAX]; /* ends with a NUL */
};

/* Counts as one of the expected tracers, once per process. */
#define KRONOS_JOIN_TRACER (1u << 0)
/* Hold the task from its return on, not only from the freeze on. */
#define KRONOS_JOIN_HOLD (1u << 1)

/*
 * Makes tasks dilated. All that they fork, clone or execute stays with the
 * host. tid 0 is the caller alone, and anybody may ask for it; for a positive
 * tid the owner makes all threads of that process join. ENOENT: no such host;
 * ESRCH: no such task; EALREADY: it is dilated.
 */
struct kronos_join {
	__u32 size;
	__u32 host;
	__s32 tid;
	__u32 flags; /* KRONOS_JOIN_* */
};

/* By the owner: SIGKILL to every task of a host; returns when all are gone. */
struct kronos_kill {
	__u32 size;
	__u32 host; /* 0: all hosts */
};

/*
 * By the owner. Waits for the expected tracers, then stops the clock. Every
 * dilated task is held when it next returns to user mode; calls in which it
 * waits are not disturbed. ETIMEDOUT: tracers are missing; EINTR.
 */
struct kronos_freeze {
	__u32 size;
	__u32 flags;	  /* 0 */
	__s64 timeout_ns; /* real time to wait for tracers; < 0: no limit */
	__s64 epoch_ns;	  /* what CLOCK_REALTIME shows then; < 0: goes on from now */
};

enum kronos_module_end {
	KRONOS_END_ROUNDS = 0,	    /* all rounds were done */
	KRONOS_END_READY = 1,	    /* until_fd is readable, or its other end closed */
	KRONOS_END_INTERRUPTED = 2, /* KRONOS_IOC_INTERRUPT, or a signal for the caller */
};

/*
 * By the owner, frozen. Returns frozen again, with 0 and `done` set in every
 * case but an error. A round that has begun is always completed.
 */
struct kronos_progress {
	__u32 size;
	__s32 until_fd;	    /* poll()able; < 0: none */
	__s64 timestep_ns;  /* 1000 .. 10^12 */
	__s64 rounds;	    /* at least 1 */
	__s64 done;	    /* out: rounds that passed, also those with no work */
	__u32 end;	    /* out: enum kronos_module_end */
	__u32 reserved;
	__s64 now_ns;	    /* out: virtual time */
};

/* Any descriptor. By host, or by task if tid is set, or of the network. */
struct kronos_clock {
	__u32 size;
	__u32 host;
	__s32 tid;
	__u32 reserved;
	__s64 now_ns;	    /* out: virtual time, 0 before the first freeze */
	__s64 monotonic_ns; /* out: the same on CLOCK_MONOTONIC */
	__s64 work_ns;	    /* out: CPU time that was charged to the host or task */
	__s64 real_ns;	    /* out: real time since the module was loaded */
	__u64 slices;	    /* out, by host: times that a task of it was let run */
	__u32 tasks;	    /* out, by host: now */
	__u32 unused;
};

/*
 * Waits in real time, whatever the clock does: kernel timers, and with them
 * poll() and sleep() of everybody who is not dilated, stand while it is frozen.
 * Returns 1 when fd is readable, 0 at the timeout. EINTR.
 */
struct kronos_wait {
	__u32 size;
	__s32 fd;	  /* < 0: none */
	__s64 timeout_ns; /* < 0: no limit; in steps of 4 ms */
};

/* Any descriptor. Counted since KRONOS_IOC_INITIALIZE. */
struct kronos_module_stats {
	__u32 size;
	__u32 hosts, tasks;	  /* now */
	__u32 tracers;		  /* that have registered so far */
	__u64 rounds;		  /* passed */
	__u64 rounds_skipped;	  /* of these, passed over because nothing had work */
	__u64 windows;		  /* in which dilated tasks ran: at least one a round */
	__u64 slices;		  /* times a task was let run */
	__u64 cuts;		  /* of these, ended by the budget */
	__u64 events;		  /* virtual timer interrupts */
	__u64 forced;		  /* times that the clock moved although something ran on */
	__u64 run_ns;		  /* real time: in slices and waiting for them */
	__u64 quiesce_ns;	  /* real time: waiting for the kernel to be idle */
	__u64 total_ns;		  /* real time in KRONOS_IOC_PROGRESS */
	__s32 waits_for;	  /* tid of a task that the clock waits for, 0: none */
	__u32 reserved;
	__s64 max_overrun_ns;	  /* of a slice beyond its end, in virtual time */
	__u64 disks_ns;		  /* real time: in which tasks only waited for a disk */
	__u64 disks_forced;	  /* times that the clock moved although a task did */
};

#define KRONOS_IOC_MAGIC 0xb7
#define KRONOS_IOC_INFO _IOWR(KRONOS_IOC_MAGIC, 0, struct kronos_info)
#define KRONOS_IOC_INITIALIZE _IOW(KRONOS_IOC_MAGIC, 1, struct kronos_initialize)
#define KRONOS_IOC_ADD_HOST _IOW(KRONOS_IOC_MAGIC, 2, struct kronos_host)
#define KRONOS_IOC_JOIN _IOW(KRONOS_IOC_MAGIC, 3, struct kronos_join)
#define KRONOS_IOC_KILL _IOW(KRONOS_IOC_MAGIC, 4, struct kronos_kill)
#define KRONOS_IOC_FREEZE _IOW(KRONOS_IOC_MAGIC, 5, struct kronos_freeze)
/* By the owner, frozen: clocks go on in real time, and nothing is held. */
#define KRONOS_IOC_THAW _IO(KRONOS_IOC_MAGIC, 6)
#define KRONOS_IOC_PROGRESS _IOWR(KRONOS_IOC_MAGIC, 7, struct kronos_progress)
/* By the owner, from any of its threads: ends a running progress after its round. */
#define KRONOS_IOC_INTERRUPT _IO(KRONOS_IOC_MAGIC, 8)
#define KRONOS_IOC_CLOCK _IOWR(KRONOS_IOC_MAGIC, 9, struct kronos_clock)
#define KRONOS_IOC_WAIT _IOW(KRONOS_IOC_MAGIC, 10, struct kronos_wait)
#define KRONOS_IOC_STATS _IOWR(KRONOS_IOC_MAGIC, 11, struct kronos_module_stats)
/* By the owner: thaws, lets all tasks go, and sets CLOCK_REALTIME right. */
#define KRONOS_IOC_STOP _IO(KRONOS_IOC_MAGIC, 12)

#endif /* KRONOS_MODULE_H */
