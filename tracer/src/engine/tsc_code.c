// SPDX-License-Identifier: MIT
/* See tsc_code.h. */
#include <emmintrin.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#include "clocks.h"
#include "engine.h"
#include "stops.h"
#include "tsc_code.h"

static const uint8_t rdtsc[RDTSC_SIZE] = { 0x0f, 0x31 };
static const uint8_t rdtscp[RDTSCP_SIZE] = { 0x0f, 0x01, 0xf9 };

size_t tsc_instruction(const uint8_t *code, size_t size)
{
	if (size >= sizeof(rdtsc) && !memcmp(code, rdtsc, sizeof(rdtsc)))
		return sizeof(rdtsc);
	if (size >= sizeof(rdtscp) && !memcmp(code, rdtscp, sizeof(rdtscp)))
		return sizeof(rdtscp);
	return 0;
}

const uint8_t *tsc_find(const uint8_t *code, const uint8_t *end)
{
	const __m128i escape = _mm_set1_epi8(0x0f);
	const __m128i second = _mm_set1_epi8(0x31), second_p = _mm_set1_epi8(0x01);

	for (; code < end; code += 16) {
		__m128i here = _mm_loadu_si128((const void *)code);
		__m128i next = _mm_loadu_si128((const void *)(code + 1));
		__m128i either = _mm_or_si128(_mm_cmpeq_epi8(next, second),
					      _mm_cmpeq_epi8(next, second_p));
		int found = _mm_movemask_epi8(
			_mm_and_si128(_mm_cmpeq_epi8(here, escape), either));

		if (found)
			return code + __builtin_ctz((unsigned int)found);
	}
	return end;
}

void tsc_execute(struct task *task, struct user_regs_struct *regs, size_t length)
{
	uint64_t value = (uint64_t)((double)read_clock(task) * engine.tsc_per_ns);

	regs->rax = (uint32_t)value;
	regs->rdx = value >> 32;
	if (length == RDTSCP_SIZE)
		regs->rcx = (uint64_t)engine.cpu;
	regs->rip += length;
	task_set_regs(task, regs);
}
