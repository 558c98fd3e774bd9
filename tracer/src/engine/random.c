// SPDX-License-Identifier: MIT
/*
 * Random numbers of the links: splitmix64, one state for each direction and
 * purpose, so that what one model draws does not change what another does.
 * The distributions are netem's, which come from its tables, in closed form.
 */
#include <math.h>

#include "link.h"

/* Where netem's tables end, in standard deviations. */
#define SHAPE_MAX 4.0

uint64_t random_bits(struct random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

void random_seed(struct random *random, uint64_t seed, uint64_t stream)
{
	*random = (struct random){ .state = seed ^ stream * 0xd1342543de82ef95 };
	random->state = random_bits(random); /* streams must not be near each other */
}

double random_unit(struct random *random)
{
	return ((double)(random_bits(random) >> 11) + 0.5) * 0x1p-53;
}

double random_correlated(struct random *random, double correlation)
{
	double unit = random_unit(random);

	if (correlation > 0)
		unit = unit * (1 - correlation) + random->last * correlation;
	random->last = unit;
	return unit;
}

/* Peter Acklam's approximation; its relative error is below 1.2e-9. */
static double normal_quantile(double p)
{
	static const double a[] = { -3.969683028665376e+01, 2.209460984245205e+02,
				    -2.759285104469687e+02, 1.383577518672690e+02,
				    -3.066479806614716e+01, 2.506628277459239e+00 };
	static const double b[] = { -5.447609879822406e+01, 1.615858368580409e+02,
				    -1.556989798598866e+02, 6.680131188771972e+01,
				    -1.328068155288572e+01 };
	static const double c[] = { -7.784894002430293e-03, -3.223964580411365e-01,
				    -2.400758277161838e+00, -2.549732539343734e+00,
				    4.374664141464968e+00,  2.938163982698783e+00 };
	static const double d[] = { 7.784695709041462e-03, 3.224671290700398e-01,
				    2.445134137142996e+00, 3.754408661907416e+00 };
	double q, r;

	if (p > 0.5)
		return -normal_quantile(1 - p);
	if (p < 0.02425) {
		q = sqrt(-2 * log(p));
		return (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q +
			c[5]) /
		       ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
	}
	q = p - 0.5;
	r = q * q;
	return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) *
	       q /
	       (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

static double clip(double value)
{
	return value < -SHAPE_MAX ? -SHAPE_MAX : value > SHAPE_MAX ? SHAPE_MAX : value;
}

/* Exponent 3, moved and scaled as in iproute2's pareto.c. */
static double pareto(double unit)
{
	return clip((1 / cbrt(unit) - 1.5) * 4 / 3);
}

double random_shape(enum kronos_distribution distribution, double unit)
{
	switch (distribution) {
	case KRONOS_NORMAL:
		return clip(normal_quantile(unit));
	case KRONOS_PARETO:
		return pareto(unit);
	case KRONOS_PARETONORMAL:
		return (clip(normal_quantile(unit)) + 3 * pareto(1 - unit)) / 4;
	default: /* netem's without a table: all values are as likely */
		return 2 * unit - 1;
	}
}
