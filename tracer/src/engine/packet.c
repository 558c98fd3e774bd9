// SPDX-License-Identifier: MIT
/* What the engine looks at inside a frame, and what it changes there. */
#include <string.h>
#include <sys/socket.h>

#include "link.h"

#define ETH_TYPE 12
#define ETH_HEADER 14
#define VLAN_TAG 4
#define TYPE_VLAN 0x8100
#define TYPE_QINQ 0x88a8
#define TYPE_IPV4 0x0800
#define TYPE_IPV6 0x86dd
#define TYPE_ARP 0x0806
#define ARP_OPERATION 6
#define ARP_REQUEST 1
#define ARP_SOURCE 14
#define ARP_TARGET 24
#define ARP_SIZE 28
#define IPV4_HEADER 20
#define IPV4_TOS 1
#define IPV4_PROTOCOL 9
#define IPV4_CHECKSUM 10
#define IPV6_HEADER 40
#define IPV6_PROTOCOL 6
#define IPV4_ADDRESSES 12
#define IPV6_ADDRESSES 8
#define PORTS 4 /* bytes, of TCP and UDP; of ICMP: type, code, checksum */
#define PROTOCOL_TCP 6
#define PROTOCOL_ICMPV6 58
#define ICMPV6_SOLICITATION 135
#define ICMPV6_TARGET 8
#define ICMPV6_SIZE (IPV6_HEADER + ICMPV6_TARGET + 16)
#define ECN_MASK 3 /* not capable: 0; congestion experienced: all bits */

static uint16_t get16(const uint8_t *data)
{
	return (uint16_t)(data[0] << 8 | data[1]);
}

/* The frame's protocol and where what it carries starts; 0 if it is too short. */
static size_t find_payload(const struct frame *frame, uint16_t *type)
{
	size_t at = ETH_HEADER;

	*type = 0;
	if (frame->size < ETH_HEADER)
		return 0;
	*type = get16(frame->data + ETH_TYPE);
	while ((*type == TYPE_VLAN || *type == TYPE_QINQ) &&
	       frame->size >= at + VLAN_TAG) {
		*type = get16(frame->data + at + 2);
		at += VLAN_TAG;
	}
	return at;
}

/* The same of an IP header; 0 if that is not all there. */
static size_t find_header(const struct frame *frame, uint16_t *type)
{
	size_t at = find_payload(frame, type);

	if ((*type == TYPE_IPV4 && frame->size >= at + IPV4_HEADER) ||
	    (*type == TYPE_IPV6 && frame->size >= at + IPV6_HEADER))
		return at;
	return 0;
}

bool packet_is_tcp(const struct frame *frame)
{
	uint16_t type;
	size_t at = find_header(frame, &type);

	return at && frame->data[at + (type == TYPE_IPV4 ? IPV4_PROTOCOL :
							   IPV6_PROTOCOL)] ==
			     PROTOCOL_TCP;
}

static bool arp_asks(const uint8_t *packet, struct neighbour *neighbour)
{
	static const uint8_t nobody[4];
	const uint8_t *source = packet + ARP_SOURCE, *target = packet + ARP_TARGET;

	*neighbour = (struct neighbour){ .family = AF_INET, .size = 4 };
	memcpy(neighbour->address, target, 4);
	/* Whether an address is its own, a host asks by itself. */
	return get16(packet + ARP_OPERATION) == ARP_REQUEST &&
	       memcmp(source, nobody, 4) != 0 && memcmp(source, target, 4) != 0;
}

static bool discovery_asks(const uint8_t *packet, struct neighbour *neighbour)
{
	static const uint8_t nobody[16];

	*neighbour = (struct neighbour){ .family = AF_INET6, .size = 16 };
	memcpy(neighbour->address, packet + IPV6_HEADER + ICMPV6_TARGET, 16);
	return packet[IPV6_HEADER] == ICMPV6_SOLICITATION &&
	       memcmp(packet + IPV6_ADDRESSES, nobody, 16) != 0;
}

bool packet_asks(const struct frame *frame, struct neighbour *neighbour)
{
	uint16_t type;
	size_t at = find_payload(frame, &type);

	if (type == TYPE_ARP && frame->size >= at + ARP_SIZE)
		return arp_asks(frame->data + at, neighbour);
	return type == TYPE_IPV6 && frame->size >= at + ICMPV6_SIZE &&
	       frame->data[at + IPV6_PROTOCOL] == PROTOCOL_ICMPV6 &&
	       discovery_asks(frame->data + at, neighbour);
}

static uint64_t hash(uint64_t sum, const uint8_t *data, size_t size) /* FNV-1a */
{
	for (size_t i = 0; i < size; i++)
		sum = (sum ^ data[i]) * 0x100000001b3;
	return sum;
}

uint64_t packet_flow(const struct frame *frame)
{
	uint16_t type;
	size_t at = find_header(frame, &type), end;
	uint64_t sum = hash(0xcbf29ce484222325, frame->data,
			    at	     ? at :
			    frame->size < ETH_HEADER ? frame->size :
						       ETH_HEADER);
	uint8_t protocol;

	if (!at)
		return sum;
	if (type == TYPE_IPV4) {
		protocol = frame->data[at + IPV4_PROTOCOL];
		end = at + (size_t)(frame->data[at] & 15) * 4;
		sum = hash(sum, frame->data + at + IPV4_ADDRESSES, 8);
	} else {
		protocol = frame->data[at + IPV6_PROTOCOL];
		end = at + IPV6_HEADER;
		sum = hash(sum, frame->data + at + IPV6_ADDRESSES, 32);
	}
	sum = hash(sum, &protocol, 1);
	if (frame->size >= end + PORTS)
		sum = hash(sum, frame->data + end, PORTS);
	return sum;
}

static void mark_ipv4(uint8_t *header)
{
	uint16_t before = get16(header);
	uint32_t sum;

	header[IPV4_TOS] |= ECN_MASK;
	/* RFC 1624: the checksum follows from what has changed. */
	sum = (uint16_t)~get16(header + IPV4_CHECKSUM);
	sum += (uint16_t)~before;
	sum += get16(header);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	header[IPV4_CHECKSUM] = (uint8_t)(~sum >> 8);
	header[IPV4_CHECKSUM + 1] = (uint8_t)~sum;
}

bool packet_mark_ce(struct frame *frame)
{
	uint16_t type;
	size_t at = find_header(frame, &type);
	uint8_t *header = frame->data + at;

	if (!at)
		return false;
	if (type == TYPE_IPV4) {
		if (!(header[IPV4_TOS] & ECN_MASK))
			return false;
		mark_ipv4(header);
	} else {
		/* The traffic class is half in the first byte, half in the second. */
		if (!(header[1] >> 4 & ECN_MASK))
			return false;
		header[1] |= ECN_MASK << 4;
	}
	return true;
}
