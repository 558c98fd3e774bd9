/* SPDX-License-Identifier: MIT */
/* Dilated threads and their processes: seized, resumed, stopped, gone. */
#ifndef KRONOS_TASK_H
#define KRONOS_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <sys/user.h>
#include <uthash.h>

#include "../vclock/page.h"
#include "handover.h"
#include "latch_program.h"
#include "prctls.h"
#include "timens.h"
#include "timers.h"

#ifndef TRAP_PERF
#define TRAP_PERF 6 /* si_code; glibc 2.36 does not have it */
#endif

struct host;
struct timed_call;

enum task_state {
	TASK_JOINING, /* seized, has not yet reached its exec */
	TASK_READY,   /* in a ptrace stop, in host->ready */
	TASK_AWAY,    /* let go: runs its slice, or is blocked in the kernel */
	TASK_HELD,    /* in a group stop (SIGSTOP and the like) */
};

/* Why a task gets PTRACE_SYSCALL, to be stopped at the exit of its call. */
enum exit_reason {
	EXIT_NONE = 0,
	EXIT_TIMED,   /* arguments to be restored, result to be seen */
	EXIT_WATCHED, /* a restarted call, which is entered first */
	EXIT_RESULT,  /* task->leave() looks at the result */
	EXIT_EXEC,    /* inject the clock, or find that exec failed */
};

/* A timed call that the task waits in. */
struct wait {
	const struct timed_call *call; /* NULL: none */
	struct event timeout;
	struct user_regs_struct regs;  /* at its entry */
	int64_t deadline;	       /* HEAP_NEVER: none */
	int64_t socket_deadline;       /* of recvmmsg: when its socket's timeout is over */
	bool expired;
	bool bad_rest; /* a sleep's rest could not be written */
	bool restart; /* the call is about to be restarted, with this deadline */
};

/* A clock page as the engine sees it, which a process shares with its forks. */
struct clock_map {
	struct vclock_page *page;
	uint64_t address; /* of the code, in the processes */
	unsigned int users;
};

/* What the threads of a process share. */
struct process {
	pid_t pid;
	struct host *host;
	unsigned int threads;
	int64_t cpu_seen;  /* CPU time that it has used, and was charged for */
	int64_t cpu_error; /* which may be off by so much */
	struct clock_map *clock; /* NULL: none yet */
	struct uptime_file *uptime; /* NULL: none */
	struct cpu_clock cpu;
	int64_t children_cpu; /* of those that have ended, with theirs */
	pid_t parent;
	pid_t seen_pid;	    /* its pid in its parent's namespace */
	unsigned int level; /* of its pid namespace, below the engine's */
	bool level_changes; /* its children may be in another one */
	struct timens timens;
	bool timens_changes; /* its children, and what it executes, will be in another */
	STAILQ_HEAD(, ended_child) ended;
	unsigned int ended_count;
	LIST_HEAD(, packet_ring) rings;
	bool tsc_trapped; /* its rdtsc ends in a SIGSEGV */
	bool filtered; /* it has seccomp filters of its own */
	bool sticky_timeouts; /* polls leave their timeouts as they are */
	bool stamped; /* it has sockets whose packets are stamped */
	struct timer itimers[3]; /* by ITIMER_REAL and so on */
	LIST_HEAD(, timerfd) timerfds;
	LIST_HEAD(, posix_timer) posix_timers;
	UT_hash_handle hh;  /* by pid */
};

struct task {
	pid_t tid;
	struct process *process;
	struct host *host;
	enum task_state state;
	enum exit_reason exit;
	bool cut;	       /* its turn is over */
	bool in_call;	       /* it stands or is blocked in a system call */
	bool interrupted;      /* by PTRACE_INTERRUPT, whose stop is to come */
	int signal;	       /* to deliver when it is resumed */
	struct latch_stop stop; /* the last one, if */
	bool stop_known;       /* it has been listed: stops.h */
	bool unreaped;	       /* waitpid() would report it still */
	uint64_t reported;     /* stops listed until waitpid() reported one */
	LIST_ENTRY(task) unreaped_entry;
	bool unlisted;	       /* no list will tell of its next stop or its end */
	LIST_ENTRY(task) unlisted_entry;
	int latch;	       /* perf event descriptor, or -1 */
	int counter;	       /* the same */
	struct handover handover;
	bool demoted;	       /* the watchdog has taken its priority away */
	bool latch_spent;      /* a plain latch has fired and must be re-armed */
	uint64_t latch_armed;  /* a plain one goes off with this switch of the task's */
	int64_t turn;	       /* real ns that it has run since it last queued */
	int64_t received;      /* its CPU time, or as of others where it waited: turns.c */
	bool vforking;	       /* waits for its vfork child, which is no wait */
	bool exiting;
	bool overdue; /* joining for long, and no longer waited for */
	uint64_t parked; /* since this TSC it sleeps in a ptrace stop: park.h; or 0 */
	bool long_call; /* goes on below all others, see blocked.h */
	bool disk_wait; /* see blocked.h */
	LIST_ENTRY(task) disk_wait_entry;
	bool typed_for; /* waits for what is typed: terminal.c */
	TAILQ_ENTRY(task) parked_entry;
	void (*leave)(struct task *task, struct user_regs_struct *regs);
	struct wait wait;
	struct cpu_clock cpu;
	struct scheduling *scheduling; /* NULL: never changed */
	struct prctls prctls;
	struct timer sleep; /* on a CPU clock: ends the wait */
	TAILQ_ENTRY(task) ready_entry;
	LIST_ENTRY(task) host_entry;
	UT_hash_handle hh; /* by tid */
};

int task_seize(pid_t pid, struct host *host);
struct task *task_find(pid_t tid);
struct process *process_find(pid_t pid);
/* A duplicate of its descriptor; -1 if there is no such one. */
int process_open(const struct process *process, int fd);
/* Lets the task run until it blocks or stops. Low level: see slice_run(). */
void task_resume(struct task *task);
void task_ready(struct task *task, bool goes_on);
/* Gives it back the priority that the watchdog has taken away. */
void task_promote(struct task *task);
/* What task_resume() does first. */
void task_leave_queue(struct task *task);
/* Makes a blocked or running task stop; what it waits in will be restarted. */
void task_interrupt(struct task *task);
void task_for_each(void (*visit)(struct task *task, void *arg), void *arg);
size_t task_count(void);

/* For task_stops.c. A task may be seen to stop before its parent is seen to have made it. */
struct task *task_new(pid_t tid);
void task_gone(struct task *task);
/* Every dilated task runs on the worker's CPU, above it. */
void task_schedule(pid_t tid);
/* It has made another one. */
void task_forked(struct task *parent, int event);
/* Its process has one task from here on, and its leader's id. */
void task_executed(struct task *task);
/* Those whose makers were killed before they could tell of them. */
void task_end_orphans(void);

/* task_stops.c: waits, in real time, until tasks that exit are gone. */
void task_await_exits(void);
/* Handles every ptrace stop that is there. */
void task_drain(void);
/* The same, and no end is overlooked: before time stands still or is passed over. */
void task_settle(void);
/* The same where only tasks that were let go can have stopped: much cheaper. */
void task_collect(void);
/* A task that was waited for by its id has stopped or ended. */
void task_stopped(pid_t tid, int status);
/* It has stopped, and the rest is known: see stops.h. */
void task_handle_stop(struct task *task, int status);

#endif /* KRONOS_TASK_H */
