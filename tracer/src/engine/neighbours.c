// SPDX-License-Identifier: MIT
/*
 * ARP and IPv6's neighbour discovery are the kernel's, and what is not answered it
 * asks for again after a second of real time, three times in all. If virtual time
 * passed over idle time meanwhile, whatever waits for the address would end by a
 * timeout before the second question. So while one is open virtual time goes on as
 * fast as real time does. But the answer to most is a round trip away: so much idle
 * time is passed over as ever.
 */
#include <string.h>

#include "engine.h"
#include "heap.h"
#include "host.h"
#include "link.h"
#include "neighbours.h"

#define ANSWER_TIME (100 * NSEC_PER_MSEC) /* virtual: most have come by then */
#define OPEN_TIME (1100 * NSEC_PER_MSEC)  /* real: then it is repeated, or given up */

static struct question *find(struct host *host, const uint8_t address[16])
{
	for (size_t i = 0; i < QUESTIONS; i++)
		if (host->question[i].tsc &&
		    !memcmp(host->question[i].address, address, 16))
			return &host->question[i];
	return NULL;
}

static struct question *oldest(struct host *host)
{
	struct question *found = &host->question[0];

	for (size_t i = 1; i < QUESTIONS; i++)
		if (host->question[i].tsc < found->tsc)
			found = &host->question[i];
	return found;
}

void neighbours_ask(struct host *host, const struct frame *frame)
{
	struct question *question;
	uint8_t address[16];

	if (!host->tcp || packet_neighbour(frame, address) != NEIGHBOUR_QUESTION)
		return;
	question = find(host, address);
	if (!question)
		question = oldest(host);
	memcpy(question->address, address, sizeof(address));
	question->asked = frame->sent;
	question->tsc = tsc_now();
	host->asks = engine.kernel_timers = true;
}

void neighbours_answer(struct host *host, const struct frame *frame)
{
	struct question *question;
	uint8_t address[16];

	if (!host->asks || packet_neighbour(frame, address) != NEIGHBOUR_ANSWER)
		return;
	question = find(host, address);
	if (question)
		question->tsc = 0;
}

int64_t neighbours_skip_until(struct host *host)
{
	int64_t until = HEAP_NEVER;

	if (!host->asks)
		return until;
	for (size_t i = 0; i < QUESTIONS; i++) {
		const struct question *question = &host->question[i];

		if (question->tsc && ns_since(question->tsc) < OPEN_TIME &&
		    question->asked + ANSWER_TIME < until)
			until = question->asked + ANSWER_TIME;
	}
	host->asks = until != HEAP_NEVER;
	return until;
}
