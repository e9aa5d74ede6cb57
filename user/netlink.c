/* SPDX-License-Identifier: GPL-2.0-only */
#include "netlink.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Elements of one size that grow; the answers of a dump. */
struct list {
	void *items;
	size_t n;
	size_t size;
};

typedef int (*answer_fn)(const struct nlmsghdr *message, struct list *list);

static void *list_add(struct list *list)
{
	void *grown = reallocarray(list->items, list->n + 1, list->size);
	void *item;

	if (!grown)
		return NULL;
	list->items = grown;
	item = (char *)grown + list->n++ * list->size;
	memset(item, 0, list->size);
	return item;
}

static int open_socket(uint32_t groups, int flags)
{
	struct sockaddr_nl local = { .nl_family = AF_NETLINK,
				     .nl_groups = groups };
	int fd =
	    socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE);
	int err;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&local, sizeof(local))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int netlink_open(void)
{
	return open_socket(RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
			       RTMGRP_IPV6_IFADDR,
			   SOCK_NONBLOCK);
}

bool netlink_drain(int fd)
{
	char buffer[8192];
	bool any = false;
	ssize_t len;

	for (;;) {
		len = recv(fd, buffer, sizeof(buffer), 0);
		if (len > 0 || (len < 0 && errno == ENOBUFS))
			any = true;
		else if (len == 0 || errno != EINTR)
			return any;
	}
}

/* 1: there is more to come, 0: done, -errno. */
static int read_answers(char *buffer, size_t len, answer_fn answer,
			struct list *list)
{
	struct nlmsghdr *m = (struct nlmsghdr *)(void *)buffer;
	int err;

	for (; NLMSG_OK(m, len); m = NLMSG_NEXT(m, len)) {
		if (m->nlmsg_flags & NLM_F_DUMP_INTR)
			return -EAGAIN;
		if (m->nlmsg_type == NLMSG_DONE)
			return 0;
		if (m->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *e = NLMSG_DATA(m);

			return e->error ? e->error : -EPROTO;
		}
		err = answer(m, list);
		if (err)
			return err;
	}
	return 1;
}

static int receive_all(int fd, answer_fn answer, struct list *list)
{
	const size_t size = 65536;
	char *buffer = malloc(size);
	ssize_t len;
	int err = 1;

	if (!buffer)
		return -ENOMEM;
	while (err > 0) {
		len = recv(fd, buffer, size, 0);
		if (len < 0)
			err = errno == EINTR ? 1 : -errno;
		else
			err = read_answers(buffer, len, answer, list);
	}
	free(buffer);
	return err;
}

struct request {
	struct nlmsghdr head;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
		struct tcmsg filter;
	};
};

static int dump_once(struct request *request, answer_fn answer,
		     struct list *list)
{
	int fd = open_socket(0, 0);
	int err;

	if (fd < 0)
		return fd;
	request->head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	if (send(fd, request, request->head.nlmsg_len, 0) < 0)
		err = -errno;
	else
		err = receive_all(fd, answer, list);
	close(fd);
	return err;
}

/* A dump that a change interrupted is inconsistent: asked again. */
static int dump(struct request *request, answer_fn answer, struct list *list)
{
	int err, tries = 5;

	do {
		list->n = 0;
		err = dump_once(request, answer, list);
	} while (err == -EAGAIN && --tries);
	if (err) {
		free(list->items);
		*list = (struct list){ .size = list->size };
	}
	return err;
}

static void copy_text(char *to, size_t size, const struct rtattr *a)
{
	size_t len = strnlen(RTA_DATA(a), RTA_PAYLOAD(a));

	if (len >= size)
		len = size - 1;
	memcpy(to, RTA_DATA(a), len);
	to[len] = '\0';
}

static void read_kind(struct netlink_link *link, const struct rtattr *info)
{
	const struct rtattr *a = RTA_DATA(info);
	int len = RTA_PAYLOAD(info);

	for (; RTA_OK(a, len); a = RTA_NEXT(a, len))
		if (a->rta_type == IFLA_INFO_KIND)
			copy_text(link->kind, sizeof(link->kind), a);
}

static void read_lost(struct netlink_link *link, const struct rtattr *a)
{
	struct rtnl_link_stats64 stats = { 0 };
	size_t len = RTA_PAYLOAD(a);

	memcpy(&stats, RTA_DATA(a), len < sizeof(stats) ? len : sizeof(stats));
	link->tx_lost = stats.tx_dropped + stats.tx_errors;
}

static void read_link_attribute(struct netlink_link *link,
				const struct rtattr *a)
{
	switch (a->rta_type) {
	case IFLA_IFNAME:
		copy_text(link->name, sizeof(link->name), a);
		break;
	case IFLA_MTU:
		memcpy(&link->mtu, RTA_DATA(a), sizeof(link->mtu));
		break;
	case IFLA_MASTER:
		memcpy(&link->master, RTA_DATA(a), sizeof(link->master));
		break;
	case IFLA_CARRIER:
		link->carrier = *(const uint8_t *)RTA_DATA(a);
		break;
	case IFLA_LINKINFO:
		read_kind(link, a);
		break;
	case IFLA_STATS64:
		read_lost(link, a);
		break;
	}
}

static int read_link(const struct nlmsghdr *m, struct list *list)
{
	const struct ifinfomsg *info = NLMSG_DATA(m);
	const struct rtattr *a = IFLA_RTA(info);
	int len = IFLA_PAYLOAD(m);
	struct netlink_link *link;

	if (m->nlmsg_type != RTM_NEWLINK)
		return 0;
	link = list_add(list);
	if (!link)
		return -ENOMEM;
	link->ifindex = info->ifi_index;
	link->flags = info->ifi_flags;
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len))
		read_link_attribute(link, a);
	return 0;
}

static int read_address(const struct nlmsghdr *m, struct list *list)
{
	const struct ifaddrmsg *info = NLMSG_DATA(m);
	const struct rtattr *a = IFA_RTA(info);
	const struct rtattr *own = NULL;
	int len = IFA_PAYLOAD(m);
	struct netlink_address *address;

	if (m->nlmsg_type != RTM_NEWADDR ||
	    (info->ifa_family != AF_INET && info->ifa_family != AF_INET6))
		return 0;
	/* On a point-to-point link IFA_ADDRESS is the peer's. */
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len))
		if (a->rta_type == IFA_LOCAL ||
		    (a->rta_type == IFA_ADDRESS && !own))
			own = a;
	if (!own || RTA_PAYLOAD(own) > sizeof(address->addr))
		return 0;
	address = list_add(list);
	if (!address)
		return -ENOMEM;
	address->ifindex = info->ifa_index;
	address->family = info->ifa_family == AF_INET ? 4 : 6;
	memcpy(address->addr, RTA_DATA(own), RTA_PAYLOAD(own));
	return 0;
}

int netlink_links(struct netlink_link **ret_links, size_t *ret_n)
{
	struct list list = { .size = sizeof(struct netlink_link) };
	struct request request = {
		.head = { .nlmsg_type = RTM_GETLINK,
			  .nlmsg_len = NLMSG_LENGTH(sizeof(request.link)) },
	};
	int err = dump(&request, read_link, &list);

	if (err)
		return err;
	*ret_links = list.items;
	*ret_n = list.n;
	return 0;
}

static bool is_loopback(const struct netlink_address *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->family == 4 ? a->addr[0] == 127 : !memcmp(a->addr, one, 16);
}

int netlink_addresses(struct netlink_address **ret_addresses, size_t *ret_n)
{
	struct list list = { .size = sizeof(struct netlink_address) };
	struct netlink_address *a;
	size_t i, kept = 0;
	struct request request = {
		.head = { .nlmsg_type = RTM_GETADDR,
			  .nlmsg_len = NLMSG_LENGTH(sizeof(request.address)) },
	};
	int err = dump(&request, read_address, &list);

	if (err)
		return err;
	a = list.items;
	for (i = 0; i < list.n; i++)
		if (!is_loopback(&a[i]))
			a[kept++] = a[i];
	*ret_addresses = a;
	*ret_n = kept;
	return 0;
}

static int read_filter(const struct nlmsghdr *m, struct list *list)
{
	return m->nlmsg_type == RTM_NEWTFILTER && !list_add(list) ? -ENOMEM : 0;
}

static bool has_filters_at(uint32_t ifindex, uint32_t side)
{
	struct list list = { .size = sizeof(uint32_t) };
	struct request request = {
		.head = { .nlmsg_type = RTM_GETTFILTER,
			  .nlmsg_len = NLMSG_LENGTH(sizeof(request.filter)) },
		.filter = { .tcm_ifindex = ifindex,
			    .tcm_parent = TC_H_MAKE(TC_H_CLSACT, side) },
	};
	bool any = dump(&request, read_filter, &list) || list.n;

	free(list.items);
	return any;
}

bool netlink_has_filters(uint32_t ifindex)
{
	return has_filters_at(ifindex, TC_H_MIN_INGRESS) ||
	       has_filters_at(ifindex, TC_H_MIN_EGRESS);
}

const struct netlink_link *netlink_by_name(const struct netlink_link *links,
					   size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(links[i].name, name))
			return &links[i];
	return NULL;
}

const struct netlink_link *netlink_by_index(const struct netlink_link *links,
					    size_t n, uint32_t ifindex)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (links[i].ifindex == ifindex)
			return &links[i];
	return NULL;
}
