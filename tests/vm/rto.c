// SPDX-License-Identifier: MIT
/*
 * rto client | rto server TOLERANCE: a TCP connection whose acknowledgements
 * are lost from some moment on. The server watches the segments come again and
 * again: after the retransmission time-out, and after twice as long each time.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

#define PORT 7000
#define COPIES 5

static struct sockaddr_in address(const char *host)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(PORT) };

	CHECK(inet_pton(AF_INET, host, &in.sin_addr) == 1);
	return in;
}

static void nap(int64_t ns)
{
	struct timespec ts = at(ns);

	CHECK(!nanosleep(&ts, NULL));
}

static int client(void)
{
	struct sockaddr_in server = address("10.0.0.2");
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(fd >= 0);
	nap(SEC); /* until the server listens */
	CHECK(!connect(fd, (struct sockaddr *)&server, sizeof(server)));
	CHECK(write(fd, "x", 1) == 1);
	nap(2 * SEC); /* until it is cut off */
	CHECK(write(fd, "x", 1) == 1);
	nap(20 * SEC);
	return 1;
}

static int open_tap(void)
{
	struct sockaddr_ll link = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP) };
	int one = 1, fd = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP));

	link.sll_ifindex = (int)if_nametoindex("h2-eth0");
	CHECK(fd >= 0 && link.sll_ifindex);
	CHECK(!bind(fd, (struct sockaddr *)&link, sizeof(link)));
	CHECK(!setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)));
	return fd;
}

/* When the next segment with data arrives, by the kernel's stamp. */
static int64_t next_segment(int fd)
{
	for (;;) {
		char control[256];
		union {
			struct iphdr ip;
			char bytes[200];
		} packet;
		struct iovec iov = { &packet, sizeof(packet) };
		struct msghdr message = { .msg_iov = &iov,
					  .msg_iovlen = 1,
					  .msg_control = control,
					  .msg_controllen = sizeof(control) };
		struct timespec stamp;
		struct tcphdr *tcp;

		CHECK(recvmsg(fd, &message, 0) > 0);
		tcp = (struct tcphdr *)(packet.bytes + packet.ip.ihl * 4);
		if (packet.ip.protocol != IPPROTO_TCP || ntohs(tcp->dest) != PORT ||
		    ntohs(packet.ip.tot_len) <= packet.ip.ihl * 4 + tcp->doff * 4)
			continue;
		memcpy(&stamp, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(stamp));
		return stamp.tv_sec * SEC + stamp.tv_nsec;
	}
}

/*
 * At least 200 ms, here with the round trip 202 to 208, since the kernel counts
 * in ticks of 4 ms; then twice as long each time, and rounded up by an eighth.
 */
static void check_times(int fd, int64_t tolerance)
{
	int64_t least = 202 * MSEC, most = 208 * MSEC, last = next_segment(fd);

	for (int i = 1; i < COPIES; i++) {
		int64_t time = next_segment(fd), gap = time - last;

		printf("figure copy %d after %.3f ms\n", i, (double)gap / MSEC);
		if (gap < least - tolerance || gap > most + most / 8 + tolerance) {
			printf("expected %lld .. %lld ns\n", (long long)least, (long long)most);
			exit(1);
		}
		least *= 2;
		most *= 2;
		last = time;
	}
}

static int server(int64_t tolerance)
{
	struct sockaddr_in any = address("0.0.0.0");
	int one = 1, tap, fd = socket(AF_INET, SOCK_STREAM, 0);
	char byte;

	CHECK(fd >= 0);
	CHECK(!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	CHECK(!bind(fd, (struct sockaddr *)&any, sizeof(any)) && !listen(fd, 1));
	fd = accept(fd, NULL, NULL);
	CHECK(fd >= 0);
	CHECK(read(fd, &byte, 1) == 1);
	nap(100 * MSEC);
	CHECK(!system("tc qdisc change dev h2-eth0 root netem loss 100%"));
	tap = open_tap();
	check_times(tap, tolerance);
	return success();
}

int main(int argc, char **argv)
{
	CHECK(argc > 1);
	if (!strcmp(argv[1], "client"))
		return client();
	CHECK(argc > 2);
	return server(atoll(argv[2]));
}
