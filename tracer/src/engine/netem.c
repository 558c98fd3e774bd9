// SPDX-License-Identifier: MIT
/*
 * What a link does to frames besides letting them wait: the models of netem,
 * with its meaning of every number (net/sched/sch_netem.c), so that results
 * are those of tc's parameters of the same names; but that delays correlate as
 * asked for, which netem's do not where the jitter is a small part of 4.3 s.
 */
#include <math.h>

#include "link.h"

static bool happens(struct direction *direction, enum stream stream,
		    double probability, double correlation)
{
	return probability > 0 &&
	       random_correlated(&direction->random[stream], correlation) <
		       probability;
}

/* Gilbert and Elliott: two states, each with a loss of its own. */
static bool burst_loses(struct direction *direction)
{
	const struct kronos_link_params *params = &direction->params;
	struct random *random = &direction->random[STREAM_LOSS];
	double leaves = direction->bad ? params->ge_r : params->ge_p;
	double loses = direction->bad ? params->ge_bad_loss : params->ge_good_loss;

	/* The state that it was in decides about this frame. */
	if (random_unit(random) < leaves)
		direction->bad = !direction->bad;
	return random_unit(random) < loses;
}

bool netem_loses(struct direction *direction)
{
	const struct kronos_link_params *params = &direction->params;

	if (params->ge_p > 0 || params->ge_good_loss > 0)
		return burst_loses(direction);
	return happens(direction, STREAM_LOSS, params->loss,
		       params->loss_correlation);
}

int netem_copies(struct direction *direction)
{
	const struct kronos_link_params *params = &direction->params;
	int copies = 1;

	if (happens(direction, STREAM_DUPLICATE, params->duplicate,
		    params->duplicate_correlation))
		copies++;
	if (netem_loses(direction))
		copies--;
	return copies;
}

void netem_corrupt(struct direction *direction, struct frame *frame)
{
	const struct kronos_link_params *params = &direction->params;
	uint64_t bit;

	if (!happens(direction, STREAM_CORRUPT, params->corrupt,
		     params->corrupt_correlation))
		return;
	bit = random_bits(&direction->random[STREAM_CORRUPT]) % (frame->size * 8);
	frame->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	direction->stats.corrupted++;
}

/* Every gap-th frame may overtake those that are on their way. */
static bool overtakes(struct direction *direction)
{
	const struct kronos_link_params *params = &direction->params;

	if (params->reorder <= 0)
		return false;
	if (direction->in_turn + 1 >= params->reorder_gap &&
	    happens(direction, STREAM_REORDER, params->reorder,
		    params->reorder_correlation)) {
		direction->in_turn = 0;
		direction->stats.reordered++;
		return true;
	}
	direction->in_turn++;
	return false;
}

static int64_t jitter(struct direction *direction)
{
	const struct kronos_link_params *params = &direction->params;
	double unit = random_correlated(&direction->random[STREAM_JITTER],
					params->delay_correlation);

	return llround(random_shape(params->distribution, unit) *
		       (double)params->jitter_ns);
}

int64_t netem_arrival(struct direction *direction, int64_t departs)
{
	const struct kronos_link_params *params = &direction->params;
	int64_t arrival = departs + params->delay_ns;

	if (overtakes(direction))
		return departs;
	if (params->jitter_ns > 0)
		arrival += jitter(direction);
	if (arrival < departs)
		arrival = departs;
	if (params->flags & KRONOS_LINK_JITTER_REORDERS)
		return arrival;
	if (arrival < direction->last_arrival)
		arrival = direction->last_arrival;
	direction->last_arrival = arrival;
	return arrival;
}
