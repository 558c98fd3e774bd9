// SPDX-License-Identifier: MIT
/*
 * The latch: a perf event on context switches with sigtrap. When a task blocks
 * the kernel queues a SIGTRAP for its return to user mode, where ptrace stops
 * it before it runs any code of its own. The system call is not disturbed.
 *
 * A BPF program on the event notes in what state each task has blocked, in an
 * array that the engine maps, and lists those that have come to a ptrace stop:
 * asking the kernel for them takes a time that grows with the number of tasks.
 * Since Linux 6.10 it also keeps the event from
 * firing where the task was only preempted or stopped, unless its turn is over;
 * where the task blocks SIGTRAP, which would be pending then for the program to
 * see; and where the engine has said that there will be a stop anyway. Before,
 * the latch fires at all these too, once: it is re-armed when the task is let go.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>

#include "engine.h"
#include "host.h"
#include "latch.h"
#include "task.h"

#define SLOTS 65536 /* by the low bits of the task's id in the engine's namespace */
#define STATE_INTERRUPTIBLE 1
#define STATE_UNINTERRUPTIBLE 2
#define STATE_TRACED 8
#define STATE_WAKING 0x200 /* blocked, and woken before it has left the CPU */
#define STATE_BLOCKED (STATE_INTERRUPTIBLE | STATE_UNINTERRUPTIBLE | STATE_WAKING)
#define TRAP_BLOCKED (1u << 31)
#define DEADLINE_MARGIN (4 * NSEC_PER_USEC) /* see SLACK in watchdog.c */
#define UPID_SIZE 16 /* struct upid: an int and a pointer */

struct latch_slot {
	uint32_t tid;
	uint32_t state; /* task->__state | TRAP_BLOCKED */
	uint32_t fired;
	uint32_t quiet; /* do not fire where it blocks */
	int64_t deadline; /* 0: none */
};

#define STOPS 4096 /* the last ones, in a ring */

struct latch_stops {
	uint32_t count;
	uint32_t tids[STOPS]; /* by the low bits of their number */
};

static enum latch_kind kind;
static int program = -1;
static volatile struct latch_slot *slots;
static volatile struct latch_stops *stops;
static uint32_t stops_taken;

/* ---- the program ------------------------------------------------------- */

#define INSN(c, d, s, o, i)                                                    \
	((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s),       \
			    .off = (o), .imm = (i) })
#define MOV_REG(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOV_IMM(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ALU_IMM(op, d, i) INSN(BPF_ALU64 | (op) | BPF_K, d, 0, 0, i)
#define ALU_REG(op, d, s) INSN(BPF_ALU64 | (op) | BPF_X, d, s, 0, 0)
#define LOAD(size, d, s, o) INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define STORE(size, d, o, s) INSN(BPF_STX | BPF_MEM | (size), d, s, o, 0)
#define JUMP_REG(op, d, s, o) INSN(BPF_JMP | (op) | BPF_X, d, s, o, 0)
#define JUMP_IMM(op, d, i, o) INSN(BPF_JMP | (op) | BPF_K, d, 0, o, i)
#define CALL(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT() INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define READ_KERNEL(to, size, from, offset)                                    \
	MOV_REG(BPF_REG_1, BPF_REG_10), ALU_IMM(BPF_ADD, BPF_REG_1, to),       \
		MOV_IMM(BPF_REG_2, size), MOV_REG(BPF_REG_3, from),            \
		ALU_IMM(BPF_ADD, BPF_REG_3, offset),                           \
		CALL(BPF_FUNC_probe_read_kernel)
#define SLOT(member) ((short)offsetof(struct latch_slot, member))
#define LOAD_MAP(d, fd)                                                        \
	INSN(BPF_LD | BPF_DW | BPF_IMM, d, BPF_PSEUDO_MAP_FD, 0, fd),          \
		INSN(0, 0, 0, 0, 0)

/* Where the kernel keeps what the program reads. */
static struct {
	/* in task_struct */
	int state, blocked, real_blocked, saved_sigmask, thread_pid;
	int restore_sigmask; /* in bits */
	int level, numbers;  /* in struct pid */
} offsets;

/*
 * The depth of this process' pid namespace. Tasks may be in deeper ones; the
 * id that the engine knows them by is the one at its own depth.
 */
static int namespace_level(void)
{
	const struct bpf_insn code[] = {
		CALL(BPF_FUNC_get_current_task),
		MOV_REG(BPF_REG_7, BPF_REG_0),
		READ_KERNEL(-8, 8, BPF_REG_7, offsets.thread_pid),
		LOAD(BPF_DW, BPF_REG_7, BPF_REG_10, -8),
		READ_KERNEL(-8, 4, BPF_REG_7, offsets.level),
		LOAD(BPF_W, BPF_REG_0, BPF_REG_10, -8),
		EXIT(),
	};
	LIBBPF_OPTS(bpf_test_run_opts, run);
	int fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "kronos_level", "GPL",
			       code, sizeof(code) / sizeof(code[0]), NULL);
	int result = fd < 0 ? -1 : bpf_prog_test_run_opts(fd, &run);

	if (fd >= 0)
		close(fd);
	return result ? -1 : (int)run.retval;
}

static int program_load(int slot_map, int stop_map, int tid_offset)
{
	const struct bpf_insn code[] = {
		CALL(BPF_FUNC_get_current_task),
		MOV_REG(BPF_REG_7, BPF_REG_0),
		/* r9 = task->thread_pid->numbers[level].nr */
		READ_KERNEL(-16, 8, BPF_REG_7, offsets.thread_pid),
		LOAD(BPF_DW, BPF_REG_9, BPF_REG_10, -16),
		READ_KERNEL(-8, 4, BPF_REG_9, tid_offset),
		LOAD(BPF_W, BPF_REG_9, BPF_REG_10, -8),
		/* r6 = &slots[tid % SLOTS] */
		MOV_REG(BPF_REG_0, BPF_REG_9),
		ALU_IMM(BPF_AND, BPF_REG_0, SLOTS - 1),
		STORE(BPF_W, BPF_REG_10, -4, BPF_REG_0),
		MOV_REG(BPF_REG_2, BPF_REG_10),
		ALU_IMM(BPF_ADD, BPF_REG_2, -4),
		LOAD_MAP(BPF_REG_1, slot_map),
		CALL(BPF_FUNC_map_lookup_elem),
		JUMP_IMM(BPF_JNE, BPF_REG_0, 0, 2),
		MOV_IMM(BPF_REG_0, 0),
		EXIT(),
		MOV_REG(BPF_REG_6, BPF_REG_0),
		/* r8 = task->__state, as far as it means that it blocks */
		READ_KERNEL(-8, 4, BPF_REG_7, offsets.state),
		LOAD(BPF_W, BPF_REG_8, BPF_REG_10, -8),
		MOV_REG(BPF_REG_1, BPF_REG_8),
		ALU_IMM(BPF_AND, BPF_REG_8, STATE_BLOCKED),
		ALU_IMM(BPF_AND, BPF_REG_1, STATE_TRACED),
		JUMP_IMM(BPF_JEQ, BPF_REG_1, 0, 17),
		/* has stopped: stops.tids[stops.count++ % STOPS] = tid, do not fire */
		INSN(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, 0),
		MOV_REG(BPF_REG_2, BPF_REG_10),
		ALU_IMM(BPF_ADD, BPF_REG_2, -4),
		LOAD_MAP(BPF_REG_1, stop_map),
		CALL(BPF_FUNC_map_lookup_elem),
		JUMP_IMM(BPF_JEQ, BPF_REG_0, 0, 8),
		LOAD(BPF_W, BPF_REG_1, BPF_REG_0, 0),
		MOV_REG(BPF_REG_2, BPF_REG_1),
		ALU_IMM(BPF_AND, BPF_REG_2, STOPS - 1),
		ALU_IMM(BPF_LSH, BPF_REG_2, 2),
		ALU_REG(BPF_ADD, BPF_REG_2, BPF_REG_0),
		STORE(BPF_W, BPF_REG_2, offsetof(struct latch_stops, tids), BPF_REG_9),
		ALU_IMM(BPF_ADD, BPF_REG_1, 1),
		STORE(BPF_W, BPF_REG_0, 0, BPF_REG_1),
		MOV_IMM(BPF_REG_0, 0),
		EXIT(),
		JUMP_IMM(BPF_JNE, BPF_REG_8, 0, 6),
		/* preempted: say nothing, fire if its turn is over */
		CALL(BPF_FUNC_ktime_get_ns),
		LOAD(BPF_DW, BPF_REG_1, BPF_REG_6, SLOT(deadline)),
		JUMP_IMM(BPF_JEQ, BPF_REG_1, 0, 1),
		JUMP_REG(BPF_JGE, BPF_REG_0, BPF_REG_1, 2),
		MOV_IMM(BPF_REG_0, 0),
		EXIT(),
		/* r1 = the signals that will be blocked when its call returns */
		READ_KERNEL(-16, 8, BPF_REG_7, offsets.blocked),
		READ_KERNEL(-24, 8, BPF_REG_7, offsets.real_blocked),
		READ_KERNEL(-32, 8, BPF_REG_7, offsets.saved_sigmask),
		READ_KERNEL(-40, 1, BPF_REG_7, offsets.restore_sigmask / 8),
		LOAD(BPF_DW, BPF_REG_1, BPF_REG_10, -16),
		LOAD(BPF_DW, BPF_REG_2, BPF_REG_10, -24),
		ALU_REG(BPF_OR, BPF_REG_1, BPF_REG_2),
		LOAD(BPF_B, BPF_REG_2, BPF_REG_10, -40),
		ALU_IMM(BPF_AND, BPF_REG_2, 1 << offsets.restore_sigmask % 8),
		JUMP_IMM(BPF_JEQ, BPF_REG_2, 0, 1),
		LOAD(BPF_DW, BPF_REG_1, BPF_REG_10, -32),
		ALU_IMM(BPF_AND, BPF_REG_1, 1 << (SIGTRAP - 1)),
		JUMP_IMM(BPF_JEQ, BPF_REG_8, 0, 5),
		/* blocks: slot->tid = tid, slot->state = state | TRAP_BLOCKED */
		MOV_REG(BPF_REG_2, BPF_REG_1),
		ALU_IMM(BPF_LSH, BPF_REG_2, 31 - (SIGTRAP - 1)),
		ALU_REG(BPF_OR, BPF_REG_2, BPF_REG_8),
		STORE(BPF_W, BPF_REG_6, SLOT(state), BPF_REG_2),
		STORE(BPF_W, BPF_REG_6, SLOT(tid), BPF_REG_9),
		/* fire, unless SIGTRAP is blocked or it blocks quietly */
		JUMP_IMM(BPF_JNE, BPF_REG_1, 0, 3),
		LOAD(BPF_W, BPF_REG_2, BPF_REG_6, SLOT(quiet)),
		JUMP_IMM(BPF_JEQ, BPF_REG_2, 0, 3),
		JUMP_IMM(BPF_JEQ, BPF_REG_8, 0, 2),
		MOV_IMM(BPF_REG_0, 0),
		EXIT(),
		MOV_IMM(BPF_REG_0, 1),
		STORE(BPF_W, BPF_REG_6, SLOT(fired), BPF_REG_0),
		EXIT(),
	};

	return bpf_prog_load(BPF_PROG_TYPE_PERF_EVENT, "kronos_latch", "GPL", code,
			     sizeof(code) / sizeof(code[0]), NULL);
}

/* In bits, or -1. */
static int member_offset(const struct btf *btf, const char *name, const char *member)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT);
	const struct btf_type *type;
	const struct btf_member *m;

	if (id < 0)
		return -1;
	type = btf__type_by_id(btf, (uint32_t)id);
	m = btf_members(type);
	for (uint32_t i = 0; i < btf_vlen(type); i++)
		if (!strcmp(btf__name_by_offset(btf, m[i].name_off), member))
			return (int)btf_member_bit_offset(type, i);
	return -1;
}

static bool find_offsets(void)
{
	static const struct {
		const char *name, *member;
		int *offset, unit;
	} members[] = {
		{ "task_struct", "__state", &offsets.state, 8 },
		{ "task_struct", "blocked", &offsets.blocked, 8 },
		{ "task_struct", "real_blocked", &offsets.real_blocked, 8 },
		{ "task_struct", "saved_sigmask", &offsets.saved_sigmask, 8 },
		{ "task_struct", "restore_sigmask", &offsets.restore_sigmask, 1 },
		{ "task_struct", "thread_pid", &offsets.thread_pid, 8 },
		{ "pid", "level", &offsets.level, 8 },
		{ "pid", "numbers", &offsets.numbers, 8 },
	};
	struct btf *btf = btf__load_vmlinux_btf();
	int bits = btf ? 0 : -1;

	for (size_t i = 0; bits >= 0 && i < sizeof(members) / sizeof(members[0]); i++) {
		bits = member_offset(btf, members[i].name, members[i].member);
		*members[i].offset = bits / members[i].unit;
	}
	btf__free(btf);
	return bits >= 0;
}

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

/* An array that this process maps; NULL if it cannot be made. */
static void *map_create(const char *name, uint32_t value_size, uint32_t entries, int *map)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	void *memory;

	*map = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), value_size,
			      entries, &options);
	if (*map < 0)
		return NULL;
	memory = mmap(NULL, (size_t)value_size * entries, PROT_READ | PROT_WRITE,
		      MAP_SHARED, *map, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static int program_init(void)
{
	int level, slot_map, stop_map;

	libbpf_set_print(silent);
	if (!find_offsets())
		return -1;
	level = namespace_level();
	if (level < 0)
		return -1;
	slots = map_create("kronos_slots", sizeof(struct latch_slot), SLOTS, &slot_map);
	stops = map_create("kronos_stops", sizeof(struct latch_stops), 1, &stop_map);
	if (!slots || !stops)
		return -1;
	stops_taken = 0;
	program = program_load(slot_map, stop_map, offsets.numbers + level * UPID_SIZE);
	/* The program and the mappings keep them. */
	close(slot_map);
	close(stop_map);
	if (program < 0)
		slots = NULL;
	return program < 0 ? -1 : 0;
}

bool latch_lists_stops(void)
{
	return kind == LATCH_BPF;
}

bool latch_next_stop(pid_t *tid)
{
	if (stops_taken == stops->count)
		return false;
	*tid = (pid_t)stops->tids[stops_taken++ % STOPS];
	return true;
}

void latch_forget_stops(void)
{
	if (stops)
		stops_taken = stops->count;
}

bool latch_stops_lost(void)
{
	return stops->count - stops_taken > STOPS;
}

/* ---- one task's latch -------------------------------------------------- */

static int event_open(pid_t tid)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CONTEXT_SWITCHES,
		.sample_period = 1,
		.disabled = 1,
		.sigtrap = 1,
		.remove_on_exec = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1,
			    PERF_FLAG_FD_CLOEXEC);
}

void latch_open(struct task *task)
{
	latch_close(task);
	task->latch = event_open(task->tid);
	if (task->latch < 0) {
		/* A task that is being killed has none; anything else is fatal. */
		if (errno != ESRCH)
			engine_warn("no latch for task %d of %s: %s", task->tid,
				    task->host->name, strerror(errno));
		return;
	}
	if (program >= 0)
		ioctl(task->latch, PERF_EVENT_IOC_SET_BPF, program);
	if (kind == LATCH_BPF)
		ioctl(task->latch, PERF_EVENT_IOC_ENABLE, 0);
	else
		ioctl(task->latch, PERF_EVENT_IOC_REFRESH, 1);
	task->latch_spent = false;
	engine.unlatched--;
}

void latch_close(struct task *task)
{
	if (task->latch >= 0) {
		close(task->latch);
		engine.unlatched++;
	}
	task->latch = -1;
	task->latch_spent = false;
}

void latch_rearm(struct task *task)
{
	task->latch_spent = false;
	if (kind == LATCH_PLAIN && task->latch >= 0)
		ioctl(task->latch, PERF_EVENT_IOC_REFRESH, 1);
}

static int64_t monotonic_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return timespec_to_ns(&ts);
}

void latch_prepare(const struct task *task, bool quiet, int64_t ns)
{
	volatile struct latch_slot *slot;

	if (!slots)
		return;
	slot = &slots[task->tid % SLOTS];
	slot->tid = slot->fired = 0;
	slot->quiet = quiet;
	/* The watchdog, whose timer ends the turn, must not come too early. */
	slot->deadline = monotonic_now() + ns - DEADLINE_MARGIN;
}

void latch_postpone(const struct task *task, int64_t ns)
{
	if (slots)
		slots[task->tid % SLOTS].deadline += ns;
}

bool latch_fired(const struct task *task)
{
	return slots && task->latch >= 0 && slots[task->tid % SLOTS].fired;
}

/* What the kernel says of a task whose latch has not fired, or has no program. */
static void proc_state(pid_t tid, bool *in_kernel, bool *trap_blocked)
{
	char path[32], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "State:\t", 7))
			*in_kernel = line[7] == 'D' || line[7] == 'R';
		if (!strncmp(line, "SigBlk:\t", 8))
			*trap_blocked = strtoull(line + 8, NULL, 16) &
					1u << (SIGTRAP - 1);
	}
	if (file)
		fclose(file);
}

void latch_state(const struct task *task, bool *in_kernel, bool *trap_blocked)
{
	volatile const struct latch_slot *slot = NULL;
	uint32_t state = 0;

	if (slots && task->latch >= 0)
		slot = &slots[task->tid % SLOTS];
	if (slot && slot->tid == (uint32_t)task->tid)
		state = slot->state;
	/* One that is waking is back soon. */
	*in_kernel = state & (STATE_UNINTERRUPTIBLE | STATE_WAKING);
	*trap_blocked = state & TRAP_BLOCKED;
	if (!state)
		proc_state(task->tid, in_kernel, trap_blocked);
}

/* ---- self-test --------------------------------------------------------- */

static volatile sig_atomic_t test_traps;

static void count_trap(int signal)
{
	(void)signal;
	test_traps++;
}

/* Exit status of the child: 1 if a sleep fires, 2 if a preemption fires too. */
static int test_child(void)
{
	struct task self = { .tid = (pid_t)syscall(SYS_gettid), .latch = -1 };
	const struct timespec nap = { .tv_nsec = 1000000 };
	int after_sleep;

	signal(SIGTRAP, count_trap);
	kind = LATCH_BPF; /* enabled without a limit */
	latch_open(&self);
	if (self.latch < 0)
		return 0;
	nanosleep(&nap, NULL);
	after_sleep = test_traps;
	/* Yielding to nobody still counts as a switch where others can run. */
	for (int i = 0; i < 20000 && test_traps == after_sleep; i++)
		sched_yield();
	return !after_sleep ? 0 : test_traps > after_sleep ? 2 : 1;
}

/* Does the program know the child that has just slept by the id that we have? */
static bool child_is_known(pid_t child)
{
	return slots[child % SLOTS].tid == (uint32_t)child;
}

/* A companion on the same CPU makes the child's yields real switches. */
static int test(void)
{
	pid_t child, companion;
	int status;

	companion = fork();
	if (companion == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			sched_yield();
	}
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(test_child());
	}
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		status = 0;
	kill(companion, SIGKILL);
	waitpid(companion, NULL, 0);
	if (program >= 0 && !child_is_known(child)) {
		engine_warn("the latch's BPF program does not know its tasks; disk "
			    "waits are read from /proc");
		close(program);
		program = -1;
		slots = NULL;
	}
	return WEXITSTATUS(status);
}

int latch_init(uint32_t flags, char *why, size_t size)
{
	int result;

	if (!(flags & KRONOS_F_NO_BPF) && program_init())
		engine_warn("no BPF program for the latch (CAP_BPF or kernel BTF "
			    "is missing); disk waits are read from /proc");
	result = test();
	if (result == 0) {
		snprintf(why, size,
			 "perf context-switch events with sigtrap do not work here; "
			 "fix: run as root on Linux 6.1 or later, with "
			 "kernel.perf_event_paranoid below 3");
		return -ENOSYS;
	}
	kind = result == 1 && program >= 0 && !(flags & KRONOS_F_NO_BPF_LATCH) ?
		       LATCH_BPF :
		       LATCH_PLAIN;
	return 0;
}

void latch_own(void)
{
	if (program < 0)
		return;
	close(program);
	engine_assert(!program_init());
}

const char *latch_name(void)
{
	return kind == LATCH_BPF ? "latch with BPF" :
	       program >= 0	 ? "plain latch, states by BPF" :
				   "plain latch";
}
