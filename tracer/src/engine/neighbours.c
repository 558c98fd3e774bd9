// SPDX-License-Identifier: MIT
/*
 * ARP and IPv6's neighbour discovery are the kernel's, which repeats in real time
 * what is not answered, and gives up. Here it is kept from both: the engine repeats
 * the frame, and tells the kernel when nobody has answered, at the virtual times at
 * which the kernel would. Addresses that were found are kept.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "engine.h"
#include "host.h"
#include "link.h"
#include "neighbours.h"
#include "netlink.h"
#include "task.h"
#include "tcp.h"
#include "timers.h"

/* The kernel's defaults: mcast_solicit, retrans_time_ms. */
#define ASKED_MAX 3
#define ASK_EVERY NSEC_PER_SEC

#define DAY_MS 86400000u /* real: for ever, as an experiment goes */
#define SOLICIT_MAX 1000000

struct question {
	struct event event;
	LIST_ENTRY(question) entry;
	struct neighbour neighbour;
	struct port *port;
	int asked; /* times */
	size_t size;
	uint8_t data[];
};

/* ---- the kernel's table ------------------------------------------------ */

struct wanted {
	const struct neighbour *neighbour;
	int interface; /* on which it is asked for; 0: it is not */
};

static int look_for(const struct nlmsghdr *header, void *arg)
{
	const struct ndmsg *entry = mnl_nlmsg_get_payload(header);
	struct wanted *wanted = arg;
	const struct neighbour *neighbour = wanted->neighbour;
	const struct nlattr *attribute;

	if (!(entry->ndm_state & (NUD_INCOMPLETE | NUD_PROBE)))
		return MNL_CB_OK;
	mnl_attr_for_each(attribute, header, sizeof(*entry))
		if (mnl_attr_get_type(attribute) == NDA_DST &&
		    mnl_attr_get_payload_len(attribute) == neighbour->size &&
		    !memcmp(mnl_attr_get_payload(attribute), neighbour->address,
			    neighbour->size))
			wanted->interface = entry->ndm_ifindex;
	return MNL_CB_OK;
}

/* The interface on which the kernel asks for it; 0 if it does not, or no longer. */
static int asking_interface(struct tcp_space *space, const struct neighbour *neighbour)
{
	struct wanted wanted = { .neighbour = neighbour };
	char buffer[256];
	struct nlmsghdr *header = netlink_request(buffer, RTM_GETNEIGH, NLM_F_DUMP);
	struct ndmsg *request;

	request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
	request->ndm_family = neighbour->family;
	netlink_list(space->route, header, look_for, &wanted);
	return wanted.interface;
}

/* Nobody has answered: the kernel tells those who wait. */
static void give_up(struct tcp_space *space, const struct neighbour *neighbour,
		    int interface)
{
	char buffer[256];
	struct nlmsghdr *header =
		netlink_request(buffer, RTM_NEWNEIGH, NLM_F_REPLACE | NLM_F_ACK);
	struct ndmsg *entry;

	entry = mnl_nlmsg_put_extra_header(header, sizeof(*entry));
	entry->ndm_family = neighbour->family;
	entry->ndm_ifindex = interface;
	entry->ndm_state = NUD_FAILED;
	mnl_attr_put(header, NDA_DST, neighbour->size, neighbour->address);
	netlink_change(space->route, header);
}

static void configure(struct tcp_space *space, int interface, uint8_t family)
{
	char buffer[256];
	struct nlmsghdr *header = netlink_request(buffer, RTM_SETNEIGHTBL, NLM_F_ACK);
	struct ndtmsg *table;
	struct nlattr *values;

	table = mnl_nlmsg_put_extra_header(header, sizeof(*table));
	table->ndtm_family = family;
	mnl_attr_put_strz(header, NDTA_NAME,
			  family == AF_INET ? "arp_cache" : "ndisc_cache");
	values = mnl_attr_nest_start(header, NDTA_PARMS);
	mnl_attr_put_u32(header, NDTPA_IFINDEX, (uint32_t)interface);
	mnl_attr_put_u64(header, NDTPA_BASE_REACHABLE_TIME, DAY_MS);
	mnl_attr_put_u64(header, NDTPA_DELAY_PROBE_TIME, DAY_MS);
	mnl_attr_put_u32(header, NDTPA_MCAST_PROBES, SOLICIT_MAX);
	mnl_attr_put_u32(header, NDTPA_UCAST_PROBES, SOLICIT_MAX);
	/* IPv6 looks for duplicates of an address for as long. */
	if (family == AF_INET)
		mnl_attr_put_u64(header, NDTPA_RETRANS_TIME, DAY_MS);
	mnl_attr_nest_end(header, values);
	netlink_change(space->route, header);
}

void neighbours_configure(struct tcp_space *space, int interface)
{
	configure(space, interface, AF_INET);
	configure(space, interface, AF_INET6);
}

/* ---- questions --------------------------------------------------------- */

static void question_free(struct question *question)
{
	LIST_REMOVE(question, entry);
	free(question);
}

static void repeat(struct question *question, struct host *host)
{
	struct frame *frame = frame_new(question->port, question->data, question->size);

	frame->sent = host_now(host);
	question->asked++;
	host_add_event(host, &question->event, frame->sent + ASK_EVERY);
	frame_go(frame);
}

static void on_time(struct event *event, struct host *host)
{
	struct question *question = container_of(event, struct question, event);
	int interface = asking_interface(host->tcp, &question->neighbour);

	if (interface && question->asked < ASKED_MAX) {
		repeat(question, host);
		return;
	}
	if (interface)
		give_up(host->tcp, &question->neighbour, interface);
	question_free(question);
	task_drain();
	link_read_host(host);
}

static bool is_open(const struct host *host, const struct frame *frame)
{
	const struct question *question;

	LIST_FOREACH(question, &host->questions, entry)
		if (question->port == frame->from && question->size == frame->size &&
		    !memcmp(question->data, frame->data, frame->size))
			return true;
	return false;
}

bool neighbours_ask(struct host *host, const struct frame *frame)
{
	struct neighbour neighbour;
	struct question *question;

	if (!host->tcp || !packet_asks(frame, &neighbour))
		return false;
	if (is_open(host, frame))
		return true;
	/* A program may ask by itself. */
	if (!asking_interface(host->tcp, &neighbour))
		return false;
	question = xcalloc(sizeof(*question) + frame->size);
	question->event.fire = on_time;
	question->neighbour = neighbour;
	question->port = frame->from;
	question->asked = 1;
	question->size = frame->size;
	memcpy(question->data, frame->data, frame->size);
	LIST_INSERT_HEAD(&host->questions, question, entry);
	host_add_event(host, &question->event, frame->sent + ASK_EVERY);
	return false;
}

void neighbours_forget(struct host *host)
{
	struct question *question;

	while ((question = LIST_FIRST(&host->questions))) {
		host_remove_event(host, &question->event);
		question_free(question);
	}
}
