// SPDX-License-Identifier: MIT
/*
 * The minimum of TCP's retransmission timeout is 200 ms of real time. Where
 * virtual time is slower, round trips take longer in real time and would run
 * into it: each route of the host's gets a minimum that is as much longer
 * (`ip route ... rto_min`). It holds for connections that are there already.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <linux/rtnetlink.h>

#include "engine.h"
#include "netlink.h"
#include "tcp.h"

#define RTO_MIN_MS 200

/* Routes are changed after all have been listed. */
struct change {
	STAILQ_ENTRY(change) entry;
	char message[] __attribute__((aligned(8)));
};

struct changes {
	STAILQ_HEAD(, change) list;
	uint32_t slowness;
};

/* Somebody has given the route metrics of his own. */
static bool has_other_metrics(const struct nlattr *metrics)
{
	const struct nlattr *attribute;

	mnl_attr_for_each_nested(attribute, metrics)
		if (mnl_attr_get_type(attribute) != RTAX_RTO_MIN &&
		    (mnl_attr_get_type(attribute) != RTAX_LOCK ||
		     mnl_attr_get_u32(attribute) != 1u << RTAX_RTO_MIN))
			return true;
	return false;
}

static void put_metrics(struct nlmsghdr *message, uint32_t slowness)
{
	struct nlattr *metrics = mnl_attr_nest_start(message, RTA_METRICS);

	mnl_attr_put_u32(message, RTAX_LOCK, 1u << RTAX_RTO_MIN);
	mnl_attr_put_u32(message, RTAX_RTO_MIN, RTO_MIN_MS * slowness);
	mnl_attr_nest_end(message, metrics);
}

static int plan_change(const struct nlmsghdr *header, void *arg)
{
	const struct rtmsg *route = mnl_nlmsg_get_payload(header);
	struct changes *changes = arg;
	const struct nlattr *attribute;
	struct nlmsghdr *message;
	struct change *change;

	if (route->rtm_table != RT_TABLE_MAIN || route->rtm_type != RTN_UNICAST ||
	    route->rtm_flags & RTM_F_CLONED)
		return MNL_CB_OK;
	change = xcalloc(sizeof(*change) + header->nlmsg_len + 64);
	message = netlink_request(change->message, RTM_NEWROUTE,
				  NLM_F_REPLACE | NLM_F_ACK);
	memcpy(mnl_nlmsg_put_extra_header(message, sizeof(*route)), route,
	       sizeof(*route));
	mnl_attr_for_each(attribute, header, sizeof(*route)) {
		if (mnl_attr_get_type(attribute) == RTA_METRICS) {
			if (!has_other_metrics(attribute))
				continue;
			free(change);
			return MNL_CB_OK;
		}
		if (mnl_attr_get_type(attribute) != RTA_CACHEINFO)
			mnl_attr_put(message, attribute->nla_type,
				     mnl_attr_get_payload_len(attribute),
				     mnl_attr_get_payload(attribute));
	}
	if (changes->slowness > 1)
		put_metrics(message, changes->slowness);
	STAILQ_INSERT_TAIL(&changes->list, change, entry);
	return MNL_CB_OK;
}

static void list_routes(struct mnl_socket *socket, struct changes *changes)
{
	char buffer[256];
	struct nlmsghdr *header = netlink_request(buffer, RTM_GETROUTE, NLM_F_DUMP);

	mnl_nlmsg_put_extra_header(header, sizeof(struct rtmsg)); /* of every family */
	netlink_list(socket, header, plan_change, changes);
}

void tcp_rto_set(struct tcp_space *space, uint32_t slowness)
{
	struct changes changes = { .list = STAILQ_HEAD_INITIALIZER(changes.list),
				   .slowness = slowness };
	struct change *change;

	space->slowness = slowness;
	list_routes(space->route, &changes);
	while ((change = STAILQ_FIRST(&changes.list))) {
		STAILQ_REMOVE_HEAD(&changes.list, entry);
		/* A route that has gone meanwhile is none of ours. */
		netlink_change(space->route, (struct nlmsghdr *)(void *)change->message);
		free(change);
	}
}
