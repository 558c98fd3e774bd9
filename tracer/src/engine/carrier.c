// SPDX-License-Identifier: MIT
/*
 * An interface whose other end is down has no carrier, as with a pair of veth:
 * that is how switches and routing daemons learn of it. The kernel tells of
 * interfaces that go down or up in each namespace; the carrier of a TAP is its
 * owner's to set.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/queue.h>

#include <libmnl/libmnl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>

#include "engine.h"
#include "host.h"
#include "link.h"
#include "neighbours.h"
#include "netlink.h"
#include "watchdog.h"

#define NEW (~0u) /* ifi_change: the interface has just come */
#define AT_ONCE 32 /* watches that are read, of those that have something */

/* One namespace: of hosts that have their own, or the engine's. */
struct carrier_watch {
	LIST_ENTRY(carrier_watch) entry;
	struct tcp_space *space; /* NULL: the engine's */
	struct mnl_socket *socket;
};

static LIST_HEAD(, carrier_watch) watches = LIST_HEAD_INITIALIZER(watches);
static int epoll = -1; /* of all watches */

static struct carrier_watch *watch_of(const struct tcp_space *space)
{
	struct carrier_watch *watch;

	LIST_FOREACH(watch, &watches, entry)
		if (watch->space == space)
			return watch;
	return NULL;
}

void carrier_init(void)
{
	epoll = epoll_create1(EPOLL_CLOEXEC);
	engine_assert(epoll >= 0);
	watchdog_watch_carrier(epoll);
	carrier_watch(NULL);
}

void carrier_watch(struct tcp_space *space)
{
	struct mnl_socket *socket =
		mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct epoll_event event = { .events = EPOLLIN };
	struct carrier_watch *watch;

	if (!socket)
		return;
	if (mnl_socket_bind(socket, RTMGRP_LINK, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(socket);
		return;
	}
	watch = xcalloc(sizeof(*watch));
	watch->space = space;
	watch->socket = socket;
	LIST_INSERT_HEAD(&watches, watch, entry);
	event.data.ptr = watch;
	epoll_ctl(epoll, EPOLL_CTL_ADD, mnl_socket_get_fd(socket), &event);
}

void carrier_forget(const struct tcp_space *space)
{
	struct carrier_watch *watch = watch_of(space);

	if (!watch)
		return;
	LIST_REMOVE(watch, entry);
	epoll_ctl(epoll, EPOLL_CTL_DEL, mnl_socket_get_fd(watch->socket), NULL);
	mnl_socket_close(watch->socket);
	free(watch);
}

/*
 * The kernel takes its time, up to a second of real time, to tell of a carrier,
 * unless somebody asks for it (from Linux 6.8 on).
 */
static void ask_for(const struct port *port)
{
	char buffer[256];
	struct nlmsghdr *header = netlink_request(buffer, RTM_GETLINK, 0);
	const struct carrier_watch *watch = watch_of(port->host->tcp);

	mnl_nlmsg_put_extra_header(header, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(header, IFLA_IFNAME, port->name);
	if (watch && !port->host->remote)
		mnl_socket_sendto(watch->socket, header, header->nlmsg_len);
}

static const char *interface_name(const struct nlmsghdr *header)
{
	const struct nlattr *attribute;

	mnl_attr_for_each(attribute, header, sizeof(struct ifinfomsg))
		if (mnl_attr_get_type(attribute) == IFLA_IFNAME)
			return mnl_attr_get_str(attribute);
	return "";
}

static int on_message(const struct nlmsghdr *header, void *arg)
{
	const struct carrier_watch *watch = arg;
	const struct ifinfomsg *interface = mnl_nlmsg_get_payload(header);
	int up = !!(interface->ifi_flags & IFF_UP);
	struct port *port;

	if (header->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	if (watch->space && interface->ifi_change == NEW)
		neighbours_configure(watch->space, interface->ifi_index);
	port = port_find(watch->space, interface_name(header));
	if (port && port->up != up) {
		port->up = up;
		ioctl(port->link->port[!port->end].fd, TUNSETCARRIER, &up);
		ask_for(&port->link->port[!port->end]);
	}
	return MNL_CB_OK;
}

static void drain(struct carrier_watch *watch)
{
	char buffer[16384];
	ssize_t size;

	while ((size = mnl_socket_recvfrom(watch->socket, buffer, sizeof(buffer))) >
		       0 ||
	       (size < 0 && errno == ENOBUFS)) /* some are lost, others there */
		if (size > 0)
			mnl_cb_run(buffer, (size_t)size, 0, 0, on_message, watch);
}

void carrier_update(void)
{
	struct epoll_event events[AT_ONCE];
	int count;

	if (!engine.carrier_changed)
		return;
	engine.carrier_changed = false;
	do {
		count = epoll_wait(epoll, events, AT_ONCE, 0);
		for (int i = 0; i < count; i++)
			drain(events[i].data.ptr);
	} while (count == AT_ONCE);
}
