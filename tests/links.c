/* SPDX-License-Identifier: GPL-2.0-only */
#include "links.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct request {
	struct nlmsghdr head;
	struct ifinfomsg info;
	char room[512];
};

int links_private(void)
{
	return unshare(CLONE_NEWNET) ? -errno : 0;
}

static struct rtattr *put(struct request *r, uint16_t type, const void *data,
			  size_t len)
{
	struct rtattr *a = (void *)((char *)r + NLMSG_ALIGN(r->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(a), data, len);
	r->head.nlmsg_len =
	    NLMSG_ALIGN(r->head.nlmsg_len) + RTA_ALIGN(a->rta_len);
	return a;
}

/* Everything that was put since `a` is inside it. */
static void enclose(struct request *r, struct rtattr *a)
{
	a->rta_len = (char *)r + r->head.nlmsg_len - (char *)a;
}

static struct request request(uint16_t type, uint16_t flags)
{
	struct request r = {
		.head = { .nlmsg_len = NLMSG_LENGTH(sizeof(r.info)),
			  .nlmsg_type = type,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags },
	};

	return r;
}

static int ask(struct request *r)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char more[1024];
	} answer = { 0 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int err;

	if (fd < 0)
		return -errno;
	if (send(fd, r, r->head.nlmsg_len, 0) < 0 ||
	    recv(fd, &answer, sizeof(answer), 0) < 0)
		err = -errno;
	else
		err = answer.error.error;
	close(fd);
	return err;
}

int links_veth(const char *name, const char *peer)
{
	struct request r = request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct ifinfomsg none = { 0 };
	struct rtattr *info, *data, *end;

	put(&r, IFLA_IFNAME, name, strlen(name) + 1);
	info = put(&r, IFLA_LINKINFO, NULL, 0);
	put(&r, IFLA_INFO_KIND, "veth", 4);
	data = put(&r, IFLA_INFO_DATA, NULL, 0);
	end = put(&r, VETH_INFO_PEER, &none, sizeof(none));
	put(&r, IFLA_IFNAME, peer, strlen(peer) + 1);
	enclose(&r, end);
	enclose(&r, data);
	enclose(&r, info);
	return ask(&r);
}

int links_bridge(const char *name, const char *port)
{
	struct request r = request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct rtattr *info;
	uint32_t master;
	int err;

	put(&r, IFLA_IFNAME, name, strlen(name) + 1);
	info = put(&r, IFLA_LINKINFO, NULL, 0);
	put(&r, IFLA_INFO_KIND, "bridge", 6);
	enclose(&r, info);
	err = ask(&r);
	if (err)
		return err;
	r = request(RTM_NEWLINK, 0);
	r.info.ifi_index = if_nametoindex(port);
	master = if_nametoindex(name);
	put(&r, IFLA_MASTER, &master, sizeof(master));
	return ask(&r);
}

int links_delete(const char *name)
{
	struct request r = request(RTM_DELLINK, 0);

	r.info.ifi_index = if_nametoindex(name);
	return r.info.ifi_index ? ask(&r) : -ENODEV;
}

static int device_ioctl(const char *name, unsigned long what, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	memcpy(ifr->ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (ioctl(fd, what, ifr))
		err = -errno;
	close(fd);
	return err;
}

int links_rename(const char *name, const char *to)
{
	struct ifreq ifr = { 0 };

	memcpy(ifr.ifr_newname, to, strnlen(to, IFNAMSIZ - 1));
	return device_ioctl(name, SIOCSIFNAME, &ifr);
}

int links_flags(const char *name)
{
	struct ifreq ifr = { 0 };
	int err = device_ioctl(name, SIOCGIFFLAGS, &ifr);

	return err ? err : (unsigned short)ifr.ifr_flags;
}

int links_up(const char *name, bool up)
{
	struct ifreq ifr = { 0 };
	int err = device_ioctl(name, SIOCGIFFLAGS, &ifr);

	if (err)
		return err;
	if (up)
		ifr.ifr_flags |= IFF_UP;
	else
		ifr.ifr_flags &= ~IFF_UP;
	return device_ioctl(name, SIOCSIFFLAGS, &ifr);
}

int links_mtu(const char *name, int mtu)
{
	struct ifreq ifr = { .ifr_mtu = mtu };

	return device_ioctl(name, SIOCSIFMTU, &ifr);
}

int links_address(const char *name, const char *address)
{
	struct ifreq ifr = { 0 };
	struct sockaddr_in *in = (void *)&ifr.ifr_addr;

	in->sin_family = AF_INET;
	inet_pton(AF_INET, address, &in->sin_addr);
	return device_ioctl(name, SIOCSIFADDR, &ifr);
}

int links_gro(const char *name)
{
	struct ethtool_value value = { .cmd = ETHTOOL_SGRO, .data = 1 };
	struct ifreq ifr = { 0 };

	ifr.ifr_data = (void *)&value;
	return device_ioctl(name, SIOCETHTOOL, &ifr);
}

static int packet_socket(const char *name, unsigned int ethertype)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ethertype),
				  .sll_ifindex = if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Until `frame` itself comes in. What goes out of `to` is seen there too. */
static bool await(int fd, const uint8_t *frame, size_t len)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	struct sockaddr_ll from = { 0 };
	socklen_t from_len;
	uint8_t got[256];

	while (poll(&readable, 1, 300) > 0) {
		from_len = sizeof(from);
		if (recvfrom(fd, got, sizeof(got), 0, (struct sockaddr *)&from,
			     &from_len) < (ssize_t)len)
			continue;
		if (from.sll_pkttype != PACKET_OUTGOING &&
		    !memcmp(got, frame, len))
			return true;
	}
	return false;
}

bool links_crosses(const char *from, const char *to, unsigned int ethertype)
{
	static uint32_t number;
	uint8_t frame[64] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2 };
	int out = packet_socket(from, 0), in = packet_socket(to, ethertype);
	bool got = false;

	frame[12] = ethertype >> 8;
	frame[13] = ethertype;
	number++;
	memcpy(frame + 40, &number, sizeof(number));
	if (out >= 0 && in >= 0 && send(out, frame, sizeof(frame), 0) > 0)
		got = await(in, frame, sizeof(frame));
	if (out >= 0)
		close(out);
	if (in >= 0)
		close(in);
	return got;
}
