// SPDX-License-Identifier: MIT
#include <sys/types.h>

#include "netlink.h"

struct nlmsghdr *netlink_request(void *buffer, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);

	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	return header;
}

void netlink_list(struct mnl_socket *socket, const struct nlmsghdr *request,
		  mnl_cb_t look, void *arg)
{
	unsigned int port = mnl_socket_get_portid(socket);
	char buffer[16384];
	ssize_t size;

	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return;
	do
		size = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
	while (size > 0 && mnl_cb_run(buffer, (size_t)size, 0, port, look, arg) >
				   MNL_CB_STOP);
}

void netlink_change(struct mnl_socket *socket, const struct nlmsghdr *request)
{
	char answer[4096];

	if (mnl_socket_sendto(socket, request, request->nlmsg_len) > 0)
		mnl_socket_recvfrom(socket, answer, sizeof(answer));
}
