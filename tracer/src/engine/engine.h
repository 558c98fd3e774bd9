/* SPDX-License-Identifier: MIT */
/*
 * The user engine: one process that traces every dilated process, holds the
 * virtual links and runs the rounds. One thread, the worker, does all of it;
 * a second one, the watchdog, preempts a running task at the end of its slice
 * and stamps the frames that it sends.
 *
 * The worker and all dilated tasks share one CPU and are SCHED_FIFO, the
 * tasks above the worker. So a ptrace request that lets a task run acts as a
 * call: it returns when every dilated task has blocked or stopped.
 *
 * With several CPUs there is one such process on each, for some of the hosts.
 * All know all hosts and links by the same ids; those that another process
 * serves are `remote`. What they share is the conductor (rounds.c) and the
 * wires (wire.c).
 *
 *   main.c     start and self-test
 *   requests.c what tracers and the orchestrator ask for
 *   workers.c  the other processes of an engine with several CPUs
 *   rounds.c   windows, idle skips, real time before the freeze
 *   wire.c     frames from one process to another
 *   host.c     a logical process: its clock, its events, its ready tasks
 *   task.c     a dilated thread: seize, resume, its ptrace stops, its end
 *   latch.c    stops a task that was blocked before it runs user code
 *   slice.c    one turn of one task, and what it is charged
 *   watchdog.c the second thread
 *   uptime.h   /proc/uptime
 *   inject.c   the clock page and the replaced vDSO
 *   timed.c    system calls that touch time: table and handlers
 *   waits.c    waits with a deadline, and what interrupts them
 *   filter.c   the seccomp filter that stops them
 *   sockets.c  timeouts of sockets
 *   clocks.c   clocks that are read or set by system calls
 *   stamps.c   stamps of packets; rings.c those in packet sockets' rings
 *   tsc.c      programs that read the time stamp counter
 *   cputime.c  CPU time, which follows the hosts' clocks
 *   timers.c   interval timers and timerfds; timers_posix.c timer_create
 *   link.h     virtual links, and the files that make them
 *   relay.c    connections between switches and controller, with a delay
 *   pty.c      pseudo-terminals, which the kernel serves in real time
 *   tcp.h      the kernel's TCP timers, which stay in real time; pace.c
 *   inspect.c  where hosts and tasks stand, and who is waited for
 *   watch.c    descriptors that end a progress; frames for who watches a link
 */
#ifndef KRONOS_ENGINE_H
#define KRONOS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <sys/user.h>
#include <time.h>
#include <uthash.h>

#include "../vclock/page.h"
#include "heap.h"
#include "kronos_abi.h"

#define NSEC_PER_SEC 1000000000LL
#define NSEC_PER_MSEC 1000000LL
#define NSEC_PER_USEC 1000LL

#define PRIO_WORKER 5
#define PRIO_TASK 10
#define PRIO_WATCHDOG 20

/* Under the free counter: what a clock read and a yield cost, in ns. */
#define FREE_READ_COST 100
#define FREE_YIELD_COST 1000

struct host;
struct process;
struct task;
struct tcp_space;

/* ---- events ------------------------------------------------------------ */

/* Something that happens to a host at a virtual time. */
struct event {
	struct heap_node node; /* in host->events */
	void (*fire)(struct event *event, struct host *host);
};

/* ---- CPU time (cputime.c) ---------------------------------------------- */

/* CPU time of a task or of a process, in virtual ns, and what is due on it. */
struct cpu_clock {
	int64_t ns;
	struct heap timers; /* by timer->due */
};

/* A timer on a host's clock, or on a CPU clock. */
struct timer {
	struct event event;
	struct cpu_clock *cpu; /* NULL: the host's clock */
	int64_t due;
};

/* The task has run so long in virtual time; what is due on it becomes an event. */
void cputime_charge(struct task *task, int64_t ns);
/* How long the task can run until something is due on its CPU time. */
int64_t cputime_left(const struct task *task);
/* The CPU clock with this id, of any dilated process; NULL if there is none. */
struct cpu_clock *cputime_clock(struct task *task, int64_t clock);
/* Only if it is of the task's own process: to set timers on. */
struct cpu_clock *cputime_own_clock(struct task *task, int64_t clock);
/* The clock's task or process ends: its timers never expire. */
void cputime_forget(struct cpu_clock *cpu);
/* The process has ended, or is about to: its parent gets its time. */
void cputime_inherit(struct process *process);
void cputime_free(struct process *process);

/* ---- hosts (host.c) ---------------------------------------------------- */

TAILQ_HEAD(task_queue, task);
LIST_HEAD(task_list, task);

/*
 * A logical process: a Mininet host, the switches, or the SDN controller.
 * Clocks are values of its CLOCK_MONOTONIC, in ns.
 */
struct host {
	uint32_t id;
	char name[KRONOS_NAME_MAX];
	enum kronos_pace pace;
	enum kronos_counter counter;
	double cpu_speed;
	uint64_t mult;		/* virtual ns per TSC tick, 32.32; 0: free */
	uint32_t cores;		/* virtual CPUs */

	int64_t clock;		/* may lag behind the window while idle */
	int64_t ahead;		/* it has used the time until then already */
	struct kronos_host_stats stats;
	int64_t burst;		/* real ns computed since the clock last moved */
	int64_t busy;		/* CPU time of its tasks, in virtual ns */
	struct heap events;
	struct task_queue ready; /* stopped tasks that want to run, in turn */
	struct task_list tasks;
	LIST_HEAD(, uptime_file) uptimes;
	unsigned int task_count;
	struct heap_node key;	/* in engine.active, by host_next() */
	int tap_epoll;		/* its TAPs, if the worker reads them; or -1 */
	int64_t lookahead;	/* the least delay of the links to it */
	unsigned int singly;	/* frames to be delivered one by one: see link.c */
	struct stamp_map *stamps; /* NULL: nobody asks for stamps of packets */
	bool tcp_seen;		/* TCP frames since its timers were last asked for */
	bool tcp_active;	/* and since timeouts were last looked for */
	bool tcp_local;		/* it has TCP connections to itself */
	struct tcp_space *tcp;	/* its network namespace, if it is its own */
	bool relayed;		/* relays begin or end at it */
	bool has_ptys;		/* masters of pseudo-terminals */
	bool pty_unsettled;	/* it has run since they were last looked at */
	bool standalone;	/* a tracer's own: stands still until the freeze */
	bool warned_spin;
	uint32_t worker;	/* which serves it */
	bool remote;		/* that is not this one */
};

struct host *host_add(const struct kronos_host_config *config);
struct host *host_get(uint32_t id);
struct host *host_find(const char *name);
/* Virtual time of the next thing that the host can do; HEAP_NEVER if none. */
int64_t host_next(const struct host *host);
/*
 * Does what there is to do at host_next(): events, and the ready tasks until
 * they have blocked or the host's clock is `until`.
 */
void host_run(struct host *host, int64_t until);
/* To be called when its ready tasks or events have changed. */
void host_changed(struct host *host);
/* The host's clock, which is never behind the window. */
int64_t host_now(const struct host *host);
void host_advance(struct host *host, int64_t time);
void host_add_event(struct host *host, struct event *event, int64_t time);
void host_remove_event(struct host *host, struct event *event);
void host_kill(struct host *host);
bool host_is_instant(const struct host *host);

/* ---- tasks (task.c) ---------------------------------------------------- */

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

struct timed_call;

/* A timed call that the task waits in. */
struct wait {
	const struct timed_call *call; /* NULL: none */
	struct event timeout;
	struct user_regs_struct regs;  /* at its entry */
	int64_t deadline;	       /* HEAP_NEVER: none */
	bool expired;
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
	STAILQ_HEAD(, ended_child) ended;
	unsigned int ended_count;
	LIST_HEAD(, packet_ring) rings;
	bool tsc_trapped; /* its rdtsc ends in a SIGSEGV */
	bool filtered; /* it has seccomp filters of its own */
	bool stamped; /* it has sockets whose packets are stamped */
	struct itimer {
		struct timer timer;
		int64_t interval;
	} itimers[3]; /* by ITIMER_REAL and so on */
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
	bool interrupted;      /* by PTRACE_INTERRUPT, whose stop is to come */
	int signal;	       /* to deliver when it is resumed */
	int latch;	       /* perf event descriptor, or -1 */
	bool latch_spent;      /* a plain latch has fired and must be re-armed */
	int64_t turn;	       /* real ns that it has run since it last queued */
	bool vforking;	       /* waits for its vfork child, which is no wait */
	bool exiting;
	bool overdue; /* joining for long, and no longer waited for */
	void (*leave)(struct task *task, struct user_regs_struct *regs);
	struct wait wait;
	struct cpu_clock cpu;
	struct timer sleep; /* on a CPU clock: ends the wait */
	TAILQ_ENTRY(task) ready_entry;
	LIST_ENTRY(task) host_entry;
	UT_hash_handle hh; /* by tid */
};

int task_seize(pid_t pid, struct host *host);
struct task *task_find(pid_t tid);
struct process *process_find(pid_t pid);
/* Waits, in real time, until tasks that exit are gone. */
void task_await_exits(void);
/* Handles every ptrace stop that is there. */
void task_drain(void);
/* The same where only tasks that were let go can have stopped: much cheaper. */
void task_collect(void);
/* Lets the task run until it blocks or stops. Low level: see slice_run(). */
void task_resume(struct task *task);
void task_ready(struct task *task, bool first);
/* Makes a blocked or running task stop; what it waits in will be restarted. */
void task_interrupt(struct task *task);
void task_for_each(void (*visit)(struct task *task, void *arg), void *arg);
size_t task_count(void);

/* ---- memory of tasks (inject.c) ---------------------------------------- */

int task_read(const struct task *task, uint64_t address, void *data, size_t size);
int task_write(const struct task *task, uint64_t address, const void *data,
	       size_t size);
bool task_get_regs(const struct task *task, struct user_regs_struct *regs);
void task_set_regs(const struct task *task, const struct user_regs_struct *regs);
void inject_init(void);
/* Address of a timespec, relative or absolute, that never comes; 0: there is none. */
uint64_t inject_forever(const struct process *process);
/* At the exit of an exec: puts in the clock page and replaces the vDSO. */
void inject_clock(struct task *task);
/* The child has its parent's clock page, until one of them calls exec or ends. */
void inject_share(struct process *child, const struct process *parent);
void inject_forget(struct process *process);

/* ---- the time stamp counter (tsc.c) ------------------------------------- */

/* Whether the program that the task has just begun reads the TSC itself. */
bool tsc_wants_trap(const struct task *task);
/* At a SIGSEGV: reads the TSC for the task if that is what it wanted. */
bool tsc_emulate(struct task *task);

/* ---- stamps of packets (stamps.c, rings.c) ------------------------------ */

void stamps_init(void);
/* From now on the host's packets are known by their real times. */
void stamps_watch(struct host *host);
/* Around what the kernel may stamp packets in; from `clock` on to the host's clock. */
int64_t stamps_begin(const struct host *host);
void stamps_end(struct host *host, int64_t real, int64_t clock);
/* CLOCK_REALTIME of the host when the kernel's was `real`, in units of so many ns. */
int64_t stamps_virtual(const struct host *host, int64_t real, int64_t unit);
/* A task that sees stamps enters a system call. */
void stamps_enter(struct task *task);
/* Replaces the stamps in rings that the task may read now. */
void rings_stamp(struct task *task);
void rings_forget(struct process *process);

/* ---- the latch (latch.c) ----------------------------------------------- */

enum latch_kind { LATCH_BPF, LATCH_PLAIN };

int latch_init(uint32_t flags, char *why, size_t size);
const char *latch_name(void);
/* In every worker but the first: gives it a program and lists of its own. */
void latch_own(void);
/*
 * Whether tasks with a latch are listed when they come to a ptrace stop; the
 * next of those; whether there were more than the list can hold.
 */
bool latch_lists_stops(void);
bool latch_next_stop(pid_t *tid);
bool latch_stops_lost(void);
/* Empties the list. */
void latch_forget_stops(void);
void latch_open(struct task *task);
void latch_close(struct task *task);
void latch_rearm(struct task *task);
/*
 * Before the task is let go, for so many ns at most: after that the latch fires
 * when the task is preempted, too. Quiet: it does not fire where the task blocks.
 */
void latch_prepare(const struct task *task, bool quiet, int64_t ns);
/* The end of its turn is put off. */
void latch_postpone(const struct task *task, int64_t ns);
/* Whether the task will stop before it runs user code again. */
bool latch_fired(const struct task *task);
/*
 * Of a task that has blocked: whether it waits for a disk or is inside the kernel
 * for another reason that is not idle, and whether it blocks SIGTRAP.
 */
void latch_state(const struct task *task, bool *in_kernel, bool *trap_blocked);

/* ---- slices (slice.c, watchdog.c) -------------------------------------- */

/* The running slice, shared with the watchdog under engine.lock. */
struct slice {
	struct host *host; /* NULL: none runs */
	struct task *task;
	int64_t base;	   /* the host's clock at its start */
	uint32_t shares;   /* tasks that would run at once: its clock is so much slower */
	uint64_t mult;	   /* as the host's, for this slice */
	uint64_t tsc_start;
	uint64_t tsc_end;  /* when the watchdog cuts it */
	int64_t cap;	   /* the host's clock may not pass this */
	uint64_t due;	   /* when the timer was to go off that ended it */
	uint64_t cut;	   /* when the watchdog ended it, or 0 */
	bool demoted;	   /* and, to no avail, taken its priority away */
};

void slice_init(void);
/* One turn of a task, until `limit` on its host's clock at the latest. */
void slice_run(struct task *task, int64_t limit);
/* Virtual time of `tsc` in the running slice. */
int64_t slice_time(const struct slice *slice, uint64_t tsc);

/* The running slice was held up so long; under engine.lock. */
void slice_exclude(uint64_t ticks);

void watchdog_start(void);
/* Makes sure that the watchdog looks at the slice when it ends. Returns true if a
 * timer had to be set, which delays the end by `delay`. */
bool watchdog_arm(uint64_t tsc_end, uint64_t delay);
/* After a slice that ends there, if it is cut, one of so many ticks is likely to
 * follow. `delay` is what it took to set this one's timer. */
void watchdog_expect(uint64_t tsc_end, uint64_t delay, uint64_t next_ticks);
void watchdog_watch_tap(int fd, void *port);
/* Sets engine.carrier_changed when there is something to be read. */
void watchdog_watch_carrier(int fd);
/* Ends this process when the other end of the socket is gone. */
void watchdog_watch_control(int fd);
void watchdog_forget(int fd);

/* ---- times ------------------------------------------------------------- */

bool timespec_valid(const struct timespec *ts);
int64_t timespec_to_ns(const struct timespec *ts); /* HEAP_NEVER if far away */
struct timespec ns_to_timespec(int64_t ns);
/* Reads what a timer is to be set to; 0 or what the call returns. */
int itimerspec_read(struct task *task, uint64_t address, struct itimerspec *value);
/* Offset of a virtual clock to CLOCK_MONOTONIC; false if it is not virtual. */
bool clock_offset(int64_t clock, int64_t *offset);
/* Time until it is due, 0 if it is not set. */
int64_t timer_left(const struct timer *timer, const struct host *host);
/* The next expiry of a periodic timer, from where the last one was due. */
void timer_repeat(struct timer *timer, struct host *host, int64_t interval);
/* Sets a timer: 0 disarms it. `offset` is that of its clock, for absolute times. */
void timer_set(struct timer *timer, struct host *host, int64_t time, bool absolute,
	       int64_t offset);
void timer_cancel(struct timer *timer, struct host *host);

/* ---- timed calls and timers (timed.c, timers.c) ------------------------ */

struct sock_filter;
/* filter.c */
size_t timed_filter(struct sock_filter *filter, size_t max);
/* The task stands at the entry of a call that the filter caught. */
/* Returns false if its turn is over. */
bool timed_enter(struct task *task);
/* After an exec: ends the process if it cannot be dilated. */
bool timed_refuses_program(const struct task *task, const struct user_regs_struct *regs);
void timed_forget(struct task *task);
/* Name of the timed call that the task waits in, "": not one call's; or NULL. */
const char *timed_call_of(const struct task *task);
/* The task is at a call that ends with a stop, whatever ends it. */
bool timed_stops(const struct task *task);
/* What it is blocked in can be restarted, and nobody will notice. */
bool timed_restartable(const struct task *task);
/* waits.c: at a stop, before the call that it has interrupted is restarted or
 * returns to the program. At the exit of a call whose task->exit is set, and
 * whether the engine has interrupted it: */
void wait_exit(struct task *task, bool interrupted);
/* The latch has stopped it: the call has ended, or something else comes next. */
void wait_latched(struct task *task);
/* A stop that the engine has caused: the program is not to notice. */
void wait_interrupted(struct task *task);
/* A signal of somebody else is about to be delivered. */
void wait_signalled(struct task *task, int signal);
/* SIGSTOP or the like has stopped the task. */
void wait_held(struct task *task);
/* sockets.c: the task has blocked in a call that was not caught. */
void timed_blocked(struct task *task);
/* Lets the call at whose entry the task stands return `result` instead. */
void call_skip(struct task *task, struct user_regs_struct *regs, int64_t result);

void timers_setitimer(struct task *task, struct user_regs_struct *regs);
void timers_getitimer(struct task *task, struct user_regs_struct *regs);
void timers_alarm(struct task *task, struct user_regs_struct *regs);
void timers_timerfd_settime(struct task *task, struct user_regs_struct *regs);
void timers_timerfd_gettime(struct task *task, struct user_regs_struct *regs);
void timers_posix_create(struct task *task, struct user_regs_struct *regs);
void timers_posix_settime(struct task *task, struct user_regs_struct *regs);
void timers_posix_gettime(struct task *task, struct user_regs_struct *regs);
void timers_posix_getoverrun(struct task *task, struct user_regs_struct *regs);
void timers_posix_delete(struct task *task, struct user_regs_struct *regs);
void timers_posix_forget(struct process *process);
/* Timers on the CPU time of a thread that ends. */
void timers_posix_thread_gone(struct task *task);
void timers_forget(struct process *process);
/* Across exec timers of signals go on; descriptors may have been closed. */
void timers_exec(struct process *process);

/* ---- links (link.c and what link.h lists) ------------------------------ */

struct port; /* one end of a link */

void link_init(uint64_t seed);
int link_add(const struct kronos_link_config *config, char *error, size_t size);
/* What is on its way still arrives, if its receiver's end is there. */
int link_remove(uint32_t link);
int link_set(uint32_t link, uint32_t direction, const struct kronos_link_params *params,
	     char *error, size_t size);
int link_stats(uint32_t link, uint32_t direction, struct kronos_link_stats *stats);
/* To a file whose descriptor it takes over; < 0 ends the capture. */
int link_capture(uint32_t link, uint32_t end, int fd);
/* No frame with an earlier stamp will come. */
void link_captures_write(int64_t time);
/* Lets everything that is known be in the files. */
void link_captures_flush(void);
/* At the freeze: every run with the same seed goes on from here in the same way. */
void link_restart_random(void);

/* By the watchdog: reads what the port's TAP has, with the time of departure. */
void link_read_stamped(struct port *port);
/* Takes what the host has sent: from its TAPs, or from the watchdog. */
void link_read_host(struct host *host);
/* The same for all hosts. Returns true if there was any. */
bool link_read_all(void);
/* Whether the watchdog has read frames that nobody has taken yet. */
bool link_inbox(void);
/* The host has done what its frames asked for: what it has sent goes out. */
void link_flush(void);
/* A frame from another process arrives. */
void link_receive(uint32_t link, uint32_t end, int64_t arrival, const void *data,
		  size_t size);
bool link_exists(uint32_t link);

/* From inside a namespace: whether its interfaces are up is watched from now on. */
void carrier_watch(const struct tcp_space *space);
void carrier_forget(const struct tcp_space *space);
/* Interfaces have gone down or up. */
void carrier_update(void);

/* ---- relays (relay.c) -------------------------------------------------- */

/* Takes the listener over. */
int relay_add(const struct kronos_relay_config *config, int listener, char *error,
	      size_t size);
/* Takes what hosts have written; returns true if anything has happened. */
bool relay_read(void);

/* ---- TCP timers (tcp.c) ------------------------------------------------ */

/* The host's namespace is that of this process. */
void tcp_watch(struct host *host, pid_t pid);
void tcp_forget(struct host *host);
/* A task of the host connects a socket of this family. */
void tcp_connect(struct host *host, int family);
/* The host sends or receives a TCP frame. */
void tcp_note(struct host *host);
/* Whether some host waits for a retransmission or a probe. */
bool tcp_pending(void);
/*
 * Between windows: virtual time is `now`, and so many times slower than real
 * time. Makes timeouts as much longer, and tells of those that came too early.
 */
void tcp_adapt(int64_t now, uint32_t slowness);

/* ---- pseudo-terminals (pty.c) ------------------------------------------ */

/* A task of the host has made one. */
void pty_opened(struct host *host);
/* Nobody in the host is ready: waits until what was written has arrived; true
 * if somebody is ready then. */
bool pty_settle(struct host *host);

/* ---- rounds (rounds.c) ------------------------------------------------- */

/* Before the other workers are started: makes what they share. */
void rounds_init(void);
void rounds_live(int timeout_ms);
/* By the first worker, before any of them calls rounds_progress(). */
void rounds_prepare(int64_t timestep, int64_t num_rounds);
int64_t rounds_progress(int until_fd);
/* Ends the progress after its round; async-signal-safe. */
void rounds_interrupt(void);
void rounds_clear_interrupt(void);
bool rounds_interrupted(void);
/* Waits until every tracer that has been seized stands at its exec. */
void rounds_await_tracers(void);
/* The clock at which a freeze can take place now. */
int64_t rounds_freeze_time(void);
void rounds_freeze(int64_t time);
void rounds_thaw(uint64_t tsc);
/* Real time on the axis of the hosts' clocks, before the freeze and after a thaw. */
int64_t rounds_live_now(void);
/* What a frame is stamped with that nobody's slice has sent. */
int64_t rounds_stamp(const struct host *host);
/* The network's clock, and whether any worker is in a window. */
int64_t rounds_now(bool *running);
/* Number of the open window. */
uint32_t rounds_window(void);
/* Wakes this worker. */
int rounds_wake_fd(uint32_t worker);
/* Something will reach a host of this worker then. */
void rounds_announce(uint32_t worker, int64_t time);

/* ---- looking at it (inspect.c, watch.c) --------------------------------- */

/* 1, 0 if there is nothing here to tell, or a negative errno. */
int inspect_host(uint32_t id, struct kronos_host_status *status);
int inspect_task(uint32_t id, int64_t number, struct kronos_task *info);

/* From now on virtual time should move. */
void stall_restart(void);
/* Real time until a line says why it does not; INT64_MAX: one has. */
int64_t stall_left(void);
/* While this task is waited for: says so if it is time to. */
void stall_check(const struct task *task);
/* Gives up waiting for those that have registered and not begun their command. */
void give_up_joining(void);
/* Nothing is due: names a task of this worker that waits; false if it has none. */
bool stall_tell_idle(void);

/* A progress ends when it is readable. Returns its number; takes it over. */
int watch_fd(int fd);
void unwatch_fd(int64_t number);
bool watched_readable(int until_fd);
/* Frames of the link go to the socket as well. */
void watch_add(uint32_t link, int fd);
void watch_frame(uint32_t link, const void *data, size_t size);

/* ---- several workers (workers.c, wire.c) ------------------------------- */

#define WORKERS_MAX 64

/* Starts one process for each CPU but the first; they serve and do not return. */
void workers_start(const int *cpus, void (*serve)(void));
/* The first one ends when another does. */
void workers_watch(void);
/* Whether all workers must do this, and not the first alone. */
bool workers_concern(uint32_t op);
void workers_send(const struct kronos_request *request, const int *fds);
/*
 * Waits for their replies; adds up what they have counted, and returns what the
 * one has returned that alone knows.
 */
int64_t workers_await(const struct kronos_request *request, struct kronos_reply *reply);
/* Lets the host's worker serve a tracer that has connected. */
void workers_send_join(uint32_t worker, const struct kronos_register *join, int fd);
/* By any worker but the first: takes such a tracer; false if there is none. */
bool workers_take_join(struct kronos_register *join, int *fd);
/* Ends the others, which have no tasks any more. */
void workers_stop(void);

void wire_init(void);
void wire_send(uint32_t worker, uint32_t link, uint32_t end, int64_t arrival,
	       const void *data, size_t size);
/* Takes what was sent before this window opened. */
void wire_receive(uint32_t window);
/* Tries again to send what there was no room for. */
void wire_flush(void);

/* ---- requests (requests.c) --------------------------------------------- */

/* The first request, which starts everything else. */
void requests_initialize(void);
/* Waits until something happens, and does what there is to do. */
void requests_serve(void);
/* Seizes the processes that ask for it. */
void engine_accept_tracers(void);

/* ---- the engine itself (main.c) ---------------------------------------- */

struct engine {
	int64_t now;	 /* start of the window: the network's clock */
	int64_t window_end;
	int64_t origin;	 /* the clock at the freeze */
	bool live;	 /* virtual time follows real time */
	bool undilated;	 /* some host is in real time */
	int64_t live_base;
	uint64_t live_tsc;
	int64_t realtime, boottime, tai; /* offsets to CLOCK_MONOTONIC */
	int64_t epoch;	 /* CLOCK_REALTIME at the freeze, < 0: goes on */

	struct heap active; /* hosts that have something to do */
	struct host **hosts;
	uint32_t host_count;

	uint32_t worker, workers; /* which this is, of how many */
	int cpu;
	int epoll;	 /* everything that may wake the worker in real time */
	int tap_epoll;	 /* the TAPs that the worker reads itself */
	int wake;	 /* an eventfd: frames of the watchdog, other workers */
	int listener;	 /* where tracers come from */
	uint32_t tracers_expected, tracers_joined;
	bool tcp_seen;	  /* by some host of this worker */
	bool tcp_new;	  /* a host has become active */
	uint32_t exiting; /* tasks on their way out */
	uint32_t joining; /* seized, and not yet at their exec */
	uint32_t unlatched; /* tasks without a latch */

	struct slice slice;
	volatile bool worker_sleeps;
	volatile bool carrier_changed;
	volatile bool progressing;
	struct kronos_stats stats;

	double tsc_per_ns;
	uint64_t ns_per_tsc; /* 32.32 */
};

extern struct engine engine;

int engine_initialize(const struct kronos_request *request, char *text, size_t size);
/* Adds to what is run if the orchestrator dies. */
int engine_on_abort(const char *command);
void engine_remove_socket(void);
void eventfd_signal(int fd);
void eventfd_clear(int fd);
void engine_lock(void);
void engine_unlock(void);
/* Ends at once, by way of the kernel ending all dilated processes. */
_Noreturn void engine_abort(void);
/* Our own bug: says where, and ends. */
#define engine_assert(condition)                                               \
	do {                                                                   \
		if (!(condition))                                              \
			engine_bug(__FILE__, __LINE__, #condition);            \
	} while (0)
_Noreturn void engine_bug(const char *file, int line, const char *what);
/* One line on standard error. */
void engine_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

void *xrealloc(void *data, size_t size);
void *xcalloc(size_t size);

static inline uint64_t tsc_now(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}

static inline int64_t fixed_mul(uint64_t value, uint64_t mult)
{
	return (int64_t)(((unsigned __int128)value * mult) >> 32);
}

static inline int64_t ns_since(uint64_t tsc)
{
	return fixed_mul(tsc_now() - tsc, engine.ns_per_tsc);
}

#endif /* KRONOS_ENGINE_H */
