/* SPDX-License-Identifier: MIT */
/* Requests to the kernel by netlink. */
#ifndef KRONOS_NETLINK_H
#define KRONOS_NETLINK_H

#include <libmnl/libmnl.h>
#include <stdint.h>

/* Begins a request in a buffer; the header of its kind comes next. */
struct nlmsghdr *netlink_request(void *buffer, uint16_t type, uint16_t flags);
/* Sends a request and calls `look` for each answer. */
void netlink_list(struct mnl_socket *socket, const struct nlmsghdr *request,
		  mnl_cb_t look, void *arg);
/* Sends one that is acknowledged, whether it is carried out or not. */
void netlink_change(struct mnl_socket *socket, const struct nlmsghdr *request);

#endif /* KRONOS_NETLINK_H */
