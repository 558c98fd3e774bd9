// SPDX-License-Identifier: MIT
/*
 * The latch's BPF program runs where a dilated task leaves the CPU. It notes in what
 * state each has blocked, in an array that the engine maps, and lists those that have
 * come to a ptrace stop, with what the engine wants to know of it: to ask the kernel
 * takes a call for each thing, and to ask who has stopped a time that grows with the
 * number of tasks. What it returns says whether the latch fires: see latch.c.
 */
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "engine.h"
#include "latch_program.h"
#include "timed.h"

#define UPID_SIZE 16 /* struct upid: an int and a pointer */

int latch_program = -1;
volatile struct latch_slot *latch_slots;
struct latch_stops *latch_stops;

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

/* r0 = the address of the only element of an array, or 0; six instructions */
#define FIND_ELEMENT(map)                                                      \
	INSN(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, 0),                  \
		MOV_REG(BPF_REG_2, BPF_REG_10),                                \
		ALU_IMM(BPF_ADD, BPF_REG_2, -4), LOAD_MAP(BPF_REG_1, map),     \
		CALL(BPF_FUNC_map_lookup_elem)

/* Where the kernel keeps what the program reads. */
static struct {
	/* in task_struct */
	int state, on_rq, blocked, real_blocked, saved_sigmask, thread_pid;
	int exit_code, ptrace_message, last_siginfo;
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

/* For a task that leaves the CPU in a ptrace stop: lists it. */
#define ENTRY(member) ((short)(offsetof(struct latch_stops, ring) +            \
			       offsetof(struct latch_stop, member)))
#define LIST_STOP(map)                                                         \
	FIND_ELEMENT(map),                                                     \
	JUMP_IMM(BPF_JEQ, BPF_REG_0, 0, LIST_STOP_LENGTH - 7),                 \
	MOV_REG(BPF_REG_8, BPF_REG_0),                                         \
	/* r6 + ENTRY() is in stops->ring[stops->count++ % STOPS] */           \
	LOAD(BPF_W, BPF_REG_1, BPF_REG_8, 0),                                  \
	MOV_REG(BPF_REG_6, BPF_REG_1),                                         \
	ALU_IMM(BPF_AND, BPF_REG_6, STOPS - 1),                                \
	ALU_IMM(BPF_MUL, BPF_REG_6, sizeof(struct latch_stop)),                \
	ALU_REG(BPF_ADD, BPF_REG_6, BPF_REG_8),                                \
	ALU_IMM(BPF_ADD, BPF_REG_1, 1),                                        \
	STORE(BPF_W, BPF_REG_8, 0, BPF_REG_1),                                 \
	STORE(BPF_W, BPF_REG_6, ENTRY(tid), BPF_REG_9),                        \
	LOAD(BPF_W, BPF_REG_9, BPF_REG_7, offsets.exit_code),                  \
	STORE(BPF_W, BPF_REG_6, ENTRY(code), BPF_REG_9),                       \
	LOAD(BPF_DW, BPF_REG_1, BPF_REG_7, offsets.ptrace_message),            \
	STORE(BPF_DW, BPF_REG_6, ENTRY(message), BPF_REG_1),                   \
	LOAD(BPF_DW, BPF_REG_1, BPF_REG_7, offsets.last_siginfo),              \
	LOAD(BPF_W, BPF_REG_1, BPF_REG_1, offsetof(siginfo_t, si_code)),       \
	STORE(BPF_W, BPF_REG_6, ENTRY(si_code), BPF_REG_1),                    \
	MOV_REG(BPF_REG_1, BPF_REG_7),                                         \
	CALL(BPF_FUNC_task_pt_regs),                                           \
	MOV_REG(BPF_REG_3, BPF_REG_0),                                         \
	MOV_REG(BPF_REG_1, BPF_REG_6),                                         \
	ALU_IMM(BPF_ADD, BPF_REG_1, ENTRY(regs)),                              \
	MOV_IMM(BPF_REG_2, STOP_REGS * 8),                                     \
	CALL(BPF_FUNC_probe_read_kernel),                                      \
	INSN(BPF_ST | BPF_MEM | BPF_DW, BPF_REG_6, 0, ENTRY(address), 0),      \
	/* r9 = the address that is in a register of this call */              \
	ALU_IMM(BPF_RSH, BPF_REG_9, 8),                                        \
	JUMP_IMM(BPF_JNE, BPF_REG_9, PTRACE_EVENT_SECCOMP, 15),                \
	LOAD(BPF_DW, BPF_REG_1, BPF_REG_6, ENTRY(message)),                    \
	ALU_IMM(BPF_AND, BPF_REG_1, STOP_CALLS - 1),                           \
	ALU_REG(BPF_ADD, BPF_REG_1, BPF_REG_8),                                \
	LOAD(BPF_B, BPF_REG_1, BPF_REG_1, offsetof(struct latch_stops, address_at)), \
	JUMP_IMM(BPF_JEQ, BPF_REG_1, 0, 10),                                   \
	ALU_IMM(BPF_AND, BPF_REG_1, 0xf8),                                     \
	ALU_REG(BPF_ADD, BPF_REG_1, BPF_REG_6),                                \
	LOAD(BPF_DW, BPF_REG_9, BPF_REG_1, ENTRY(regs)),                       \
	MOV_REG(BPF_REG_1, BPF_REG_6),                                         \
	ALU_IMM(BPF_ADD, BPF_REG_1, ENTRY(value)),                             \
	MOV_IMM(BPF_REG_2, 16),                                                \
	MOV_REG(BPF_REG_3, BPF_REG_9),                                         \
	CALL(BPF_FUNC_probe_read_user),                                        \
	JUMP_IMM(BPF_JNE, BPF_REG_0, 0, 1),                                    \
	STORE(BPF_DW, BPF_REG_6, ENTRY(address), BPF_REG_9)
#define LIST_STOP_LENGTH 48

/*
 * For a task that blocks where it may pass: goes on at `no` behind it, and does not
 * fire; or at `fire`, two instructions later.
 */
#define STOPS_AT(member) ((short)offsetof(struct latch_stops, member))
#define REGS_AT(member) ((short)offsetof(struct user_regs_struct, member))
#define PASS(map)                                                              \
	FIND_ELEMENT(map),                                                     \
	JUMP_IMM(BPF_JEQ, BPF_REG_0, 0, PASS_LENGTH - 5),                      \
	MOV_REG(BPF_REG_8, BPF_REG_0),                                         \
	/* none has stopped; or one, which may have woken it for nothing */    \
	LOAD(BPF_W, BPF_REG_1, BPF_REG_8, STOPS_AT(count)),                    \
	LOAD(BPF_W, BPF_REG_2, BPF_REG_8, STOPS_AT(pass_count)),               \
	MOV_IMM(BPF_REG_3, 1),                                                 \
	JUMP_REG(BPF_JEQ, BPF_REG_1, BPF_REG_2, 5),                            \
	ALU_IMM(BPF_ADD, BPF_REG_2, 1),                                        \
	JUMP_REG(BPF_JNE, BPF_REG_1, BPF_REG_2, PASS_LENGTH - 12),             \
	LOAD(BPF_W, BPF_REG_3, BPF_REG_6, SLOT(spare)),                        \
	JUMP_IMM(BPF_JEQ, BPF_REG_3, 0, PASS_LENGTH - 14),                     \
	MOV_IMM(BPF_REG_3, 0),                                                 \
	STORE(BPF_W, BPF_REG_6, SLOT(spare), BPF_REG_3),                       \
	MOV_REG(BPF_REG_1, BPF_REG_7),                                         \
	CALL(BPF_FUNC_task_pt_regs),                                           \
	LOAD(BPF_DW, BPF_REG_1, BPF_REG_0, REGS_AT(orig_rax)),                 \
	LOAD(BPF_W, BPF_REG_2, BPF_REG_6, SLOT(call)),                         \
	JUMP_REG(BPF_JNE, BPF_REG_1, BPF_REG_2, PASS_LENGTH - 21),             \
	LOAD(BPF_DW, BPF_REG_1, BPF_REG_0, REGS_AT(rdi)),                      \
	LOAD(BPF_DW, BPF_REG_2, BPF_REG_6, SLOT(argument)),                    \
	JUMP_REG(BPF_JNE, BPF_REG_1, BPF_REG_2, PASS_LENGTH - 24),             \
	LOAD(BPF_W, BPF_REG_1, BPF_REG_6, SLOT(passed)),                       \
	ALU_IMM(BPF_ADD, BPF_REG_1, 1),                                        \
	STORE(BPF_W, BPF_REG_6, SLOT(passed), BPF_REG_1),                      \
	STORE(BPF_W, BPF_REG_6, SLOT(free), BPF_REG_9),                        \
	/* what it has run since another one passed */                         \
	CALL(BPF_FUNC_ktime_get_ns),                                           \
	LOAD(BPF_DW, BPF_REG_1, BPF_REG_8, STOPS_AT(switched)),                \
	STORE(BPF_DW, BPF_REG_8, STOPS_AT(switched), BPF_REG_0),               \
	ALU_REG(BPF_SUB, BPF_REG_0, BPF_REG_1),                                \
	LOAD(BPF_DW, BPF_REG_1, BPF_REG_6, SLOT(ran)),                         \
	ALU_REG(BPF_ADD, BPF_REG_1, BPF_REG_0),                                \
	STORE(BPF_DW, BPF_REG_6, SLOT(ran), BPF_REG_1)
#define PASS_LENGTH 37

static int program_load(int slot_map, int stop_map, int tid_offset)
{
	const struct bpf_insn code[] = {
		CALL(BPF_FUNC_get_current_task_btf),
		MOV_REG(BPF_REG_7, BPF_REG_0),
		/* r9 = task->thread_pid->numbers[level].nr */
		LOAD(BPF_DW, BPF_REG_9, BPF_REG_7, offsets.thread_pid),
		READ_KERNEL(-8, 4, BPF_REG_9, tid_offset),
		LOAD(BPF_W, BPF_REG_9, BPF_REG_10, -8),
		/* r8 = task->__state, as far as it means that it blocks */
		LOAD(BPF_W, BPF_REG_8, BPF_REG_7, offsets.state),
		MOV_REG(BPF_REG_1, BPF_REG_8),
		ALU_IMM(BPF_AND, BPF_REG_8, STATE_BLOCKED),
		ALU_IMM(BPF_AND, BPF_REG_1, STATE_TRACED),
		JUMP_IMM(BPF_JEQ, BPF_REG_1, 0, LIST_STOP_LENGTH + 4),
		/* preempted on the way into the stop, it has yet to come there */
		LOAD(BPF_W, BPF_REG_1, BPF_REG_7, offsets.on_rq),
		JUMP_IMM(BPF_JNE, BPF_REG_1, 0, LIST_STOP_LENGTH),
		LIST_STOP(stop_map),
		MOV_IMM(BPF_REG_0, 0), /* do not fire */
		EXIT(),
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
		JUMP_IMM(BPF_JNE, BPF_REG_8, 0, 6),
		/* preempted: say nothing, fire if its turn is over */
		CALL(BPF_FUNC_ktime_get_ns),
		LOAD(BPF_DW, BPF_REG_1, BPF_REG_6, SLOT(deadline)),
		JUMP_IMM(BPF_JEQ, BPF_REG_1, 0, 1),
		JUMP_REG(BPF_JGE, BPF_REG_0, BPF_REG_1, 2),
		MOV_IMM(BPF_REG_0, 0),
		EXIT(),
		/* r1 = the signals that will be blocked when its call returns */
		LOAD(BPF_DW, BPF_REG_1, BPF_REG_7, offsets.blocked),
		LOAD(BPF_DW, BPF_REG_2, BPF_REG_7, offsets.real_blocked),
		ALU_REG(BPF_OR, BPF_REG_1, BPF_REG_2),
		LOAD(BPF_B, BPF_REG_2, BPF_REG_7, offsets.restore_sigmask / 8),
		ALU_IMM(BPF_AND, BPF_REG_2, 1 << offsets.restore_sigmask % 8),
		JUMP_IMM(BPF_JEQ, BPF_REG_2, 0, 1),
		LOAD(BPF_DW, BPF_REG_1, BPF_REG_7, offsets.saved_sigmask),
		ALU_IMM(BPF_AND, BPF_REG_1, 1 << (SIGTRAP - 1)),
		INSN(BPF_ST | BPF_MEM | BPF_W, BPF_REG_6, 0, SLOT(tid), 0),
		JUMP_IMM(BPF_JEQ, BPF_REG_8, 0, 6),
		/* blocks: slot->tid = tid, slot->state = state | TRAP_BLOCKED */
		INSN(BPF_ST | BPF_MEM | BPF_W, BPF_REG_6, 0, SLOT(free), 0),
		MOV_REG(BPF_REG_2, BPF_REG_1),
		ALU_IMM(BPF_LSH, BPF_REG_2, 31 - (SIGTRAP - 1)),
		ALU_REG(BPF_OR, BPF_REG_2, BPF_REG_8),
		STORE(BPF_W, BPF_REG_6, SLOT(state), BPF_REG_2),
		STORE(BPF_W, BPF_REG_6, SLOT(tid), BPF_REG_9),
		/* fire, unless SIGTRAP is blocked or it blocks quietly */
		JUMP_IMM(BPF_JNE, BPF_REG_1, 0, PASS_LENGTH + 6),
		JUMP_IMM(BPF_JEQ, BPF_REG_8, 0, PASS_LENGTH + 7),
		LOAD(BPF_W, BPF_REG_2, BPF_REG_6, SLOT(quiet)),
		JUMP_IMM(BPF_JNE, BPF_REG_2, 0, PASS_LENGTH + 3),
		LOAD(BPF_W, BPF_REG_2, BPF_REG_6, SLOT(passer)),
		JUMP_REG(BPF_JNE, BPF_REG_2, BPF_REG_9, PASS_LENGTH + 3),
		JUMP_IMM(BPF_JNE, BPF_REG_8, STATE_INTERRUPTIBLE, PASS_LENGTH + 2),
		PASS(stop_map),
		MOV_IMM(BPF_REG_0, 0),
		EXIT(),
		STORE(BPF_W, BPF_REG_6, SLOT(fired), BPF_REG_9),
		INSN(BPF_ST | BPF_MEM | BPF_W, BPF_REG_6, 0, SLOT(spare), 0),
		MOV_IMM(BPF_REG_0, 1),
		EXIT(),
	};
	const struct bpf_insn list[] = { LIST_STOP(stop_map) };
	const struct bpf_insn pass[] = { PASS(stop_map) };

	_Static_assert(sizeof(list) / sizeof(list[0]) == LIST_STOP_LENGTH, "jump");
	_Static_assert(sizeof(pass) / sizeof(pass[0]) == PASS_LENGTH, "jump");
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
		{ "task_struct", "on_rq", &offsets.on_rq, 8 },
		{ "task_struct", "blocked", &offsets.blocked, 8 },
		{ "task_struct", "real_blocked", &offsets.real_blocked, 8 },
		{ "task_struct", "saved_sigmask", &offsets.saved_sigmask, 8 },
		{ "task_struct", "restore_sigmask", &offsets.restore_sigmask, 1 },
		{ "task_struct", "thread_pid", &offsets.thread_pid, 8 },
		{ "task_struct", "exit_code", &offsets.exit_code, 8 },
		{ "task_struct", "ptrace_message", &offsets.ptrace_message, 8 },
		{ "task_struct", "last_siginfo", &offsets.last_siginfo, 8 },
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

/* Where the filter's calls have the address of a timespec. */
static void note_addresses(void)
{
	static struct user_regs_struct regs;
	const struct timed_call *call;

	engine_assert(timed_call_count <= STOP_CALLS);
	for (size_t i = 0; i < timed_call_count; i++) {
		call = &timed_calls[i];
		if (call->sleeps || call->form > FORM_MSEC)
			latch_stops->address_at[i] =
				(uint8_t)((uint8_t *)arg_register(&regs, call->arg) -
					  (uint8_t *)&regs);
	}
}

int latch_program_init(void)
{
	int level, slot_map, stop_map;

	libbpf_set_print(silent);
	if (!find_offsets())
		return -1;
	level = namespace_level();
	if (level < 0)
		return -1;
	latch_slots = map_create("kronos_slots", sizeof(struct latch_slot), SLOTS,
				 &slot_map);
	latch_stops = map_create("kronos_stops", sizeof(struct latch_stops), 1, &stop_map);
	if (!latch_slots || !latch_stops)
		return -1;
	note_addresses();
	latch_program = program_load(slot_map, stop_map,
				     offsets.numbers + level * UPID_SIZE);
	/* The program and the mappings keep them. */
	close(slot_map);
	close(stop_map);
	if (latch_program < 0)
		latch_slots = NULL;
	return latch_program;
}

void latch_program_close(void)
{
	close(latch_program);
	latch_program = -1;
	latch_slots = NULL;
}
