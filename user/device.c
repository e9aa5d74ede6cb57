/* SPDX-License-Identifier: GPL-2.0-only */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* By bit of enum DEVICE_*. */
static const char *const offloads[] = {
	"rx-gro",
	"rx-gro-hw",
	"rx-lro",
	"rx-vlan-hw-parse",
	"rx-vlan-stag-hw-parse",
};
#define N_OFFLOADS (sizeof(offloads) / sizeof(offloads[0]))
_Static_assert(DEVICE_offloads == (1U << N_OFFLOADS) - 1, "a name each");

/* 8 blocks are 256 features; kernels have some 60. */
enum { FEATURE_BLOCKS = 8 };

static int device_ioctl(const char *name, unsigned long request,
			struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	memset(ifr->ifr_name, 0, sizeof(ifr->ifr_name));
	memcpy(ifr->ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (ioctl(fd, request, ifr) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int ethtool(const char *name, void *command)
{
	struct ifreq ifr = { 0 };

	ifr.ifr_data = command;
	return device_ioctl(name, SIOCETHTOOL, &ifr);
}

/* The names of all features, to be freed. */
static int feature_names(const char *name, struct ethtool_gstrings **ret)
{
	char room[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)]
	    __attribute__((aligned(8))) = { 0 };
	struct ethtool_sset_info *info = (void *)room;
	struct ethtool_gstrings *strings;
	int err;

	info->cmd = ETHTOOL_GSSET_INFO;
	info->sset_mask = 1ULL << ETH_SS_FEATURES;
	err = ethtool(name, info);
	if (err)
		return err;
	if (!info->sset_mask || info->data[0] > FEATURE_BLOCKS * 32)
		return -EOPNOTSUPP;
	strings = calloc(1, sizeof(*strings) + info->data[0] * ETH_GSTRING_LEN);
	if (!strings)
		return -ENOMEM;
	strings->cmd = ETHTOOL_GSTRINGS;
	strings->string_set = ETH_SS_FEATURES;
	strings->len = info->data[0];
	err = ethtool(name, strings);
	if (err) {
		free(strings);
		return err;
	}
	*ret = strings;
	return 0;
}

/* Place of offload `i` among the features of the device, or -1. */
static int feature_place(const struct ethtool_gstrings *strings, size_t i)
{
	uint32_t at;

	for (at = 0; at < strings->len; at++)
		if (!strncmp((const char *)&strings->data[at * ETH_GSTRING_LEN],
			     offloads[i], ETH_GSTRING_LEN))
			return at;
	return -1;
}

static int get_features(const char *name,
			const struct ethtool_gstrings *strings, uint32_t *on)
{
	char room[sizeof(struct ethtool_gfeatures) +
		  FEATURE_BLOCKS * sizeof(struct ethtool_get_features_block)]
	    __attribute__((aligned(8))) = { 0 };
	struct ethtool_gfeatures *get = (void *)room;
	int at, err;
	size_t i;

	get->cmd = ETHTOOL_GFEATURES;
	get->size = FEATURE_BLOCKS;
	err = ethtool(name, get);
	if (err)
		return err;
	*on = 0;
	for (i = 0; i < N_OFFLOADS; i++) {
		at = feature_place(strings, i);
		if (at >= 0 && get->features[at / 32].active >> at % 32 & 1)
			*on |= 1U << i;
	}
	return 0;
}

static int set_features(const char *name,
			const struct ethtool_gstrings *strings, uint32_t which,
			bool on)
{
	char room[sizeof(struct ethtool_sfeatures) +
		  FEATURE_BLOCKS * sizeof(struct ethtool_set_features_block)]
	    __attribute__((aligned(8))) = { 0 };
	struct ethtool_sfeatures *set = (void *)room;
	size_t i;
	int at;

	set->cmd = ETHTOOL_SFEATURES;
	set->size = (strings->len + 31) / 32;
	for (i = 0; i < N_OFFLOADS; i++) {
		at = feature_place(strings, i);
		if (at < 0 || !(which >> i & 1))
			continue;
		set->features[at / 32].valid |= 1U << at % 32;
		if (on)
			set->features[at / 32].requested |= 1U << at % 32;
	}
	return ethtool(name, set);
}

/* A device without ethtool features (some drivers) has none to switch. */
static int offloads_off(const char *name, uint32_t *changed, uint32_t *stuck)
{
	struct ethtool_gstrings *strings;
	uint32_t before, after;
	int err = feature_names(name, &strings);

	if (err)
		return err == -EOPNOTSUPP ? 0 : err;
	err = get_features(name, strings, &before);
	if (!err && before) {
		/* What is fixed is refused as a whole: see what remains. */
		set_features(name, strings, before, false);
		err = get_features(name, strings, &after);
		if (!err) {
			*changed |= before & ~after;
			*stuck |= after;
		}
	}
	free(strings);
	return err;
}

static void offloads_on(const char *name, uint32_t which)
{
	struct ethtool_gstrings *strings;

	if (feature_names(name, &strings))
		return;
	set_features(name, strings, which, true);
	free(strings);
}

/* Sets and clears IFF_*; *ret_before is what they were. */
static int change_flags(const char *name, short set, short clear,
			short *ret_before)
{
	struct ifreq ifr = { 0 };
	int err = device_ioctl(name, SIOCGIFFLAGS, &ifr);

	if (err)
		return err;
	if (ret_before)
		*ret_before = ifr.ifr_flags;
	ifr.ifr_flags = (ifr.ifr_flags | set) & ~clear;
	return device_ioctl(name, SIOCSIFFLAGS, &ifr);
}

/* 1: it was disabled already, 0: done, -errno. */
static int set_ipv6_disabled(const char *name, bool disabled)
{
	char path[80], was;
	int fd, err = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6",
		 name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) /* no such file: a host without IPv6 */
		return errno == ENOENT ? 1 : -errno;
	if (read(fd, &was, 1) != 1)
		err = -EIO;
	else if ((was == '1') == disabled)
		err = 1;
	else if (pwrite(fd, disabled ? "1" : "0", 1, 0) != 1)
		err = -errno;
	close(fd);
	return err;
}

static int prepare_wire(const char *name, uint32_t *changed)
{
	short before;
	int err;

	/* IPv6 first: a device that goes up speaks at once. */
	err = set_ipv6_disabled(name, true);
	if (err < 0)
		return err;
	if (!err)
		*changed |= DEVICE_ipv6;
	err = change_flags(name, IFF_PROMISC | IFF_NOARP, 0, &before);
	if (err)
		return err;
	if (!(before & IFF_PROMISC))
		*changed |= DEVICE_promisc;
	if (!(before & IFF_NOARP))
		*changed |= DEVICE_arp;
	return device_raise(name, changed);
}

int device_raise(const char *name, uint32_t *changed)
{
	short before;
	int err = change_flags(name, IFF_UP, 0, &before);

	if (!err && !(before & IFF_UP))
		*changed |= DEVICE_up;
	return err;
}

int device_prepare(const char *name, bool wire, uint32_t *changed,
		   uint32_t *stuck)
{
	int err = offloads_off(name, changed, stuck);

	return err || !wire ? err : prepare_wire(name, changed);
}

void device_restore(const char *name, uint32_t changed)
{
	short clear = 0;

	if (changed & DEVICE_up)
		clear |= IFF_UP;
	if (changed & DEVICE_promisc)
		clear |= IFF_PROMISC;
	if (changed & DEVICE_arp)
		clear |= IFF_NOARP;
	if (clear)
		change_flags(name, 0, clear, NULL);
	if (changed & DEVICE_ipv6)
		set_ipv6_disabled(name, false);
	if (changed & DEVICE_offloads)
		offloads_on(name, changed & DEVICE_offloads);
}

const char *device_offload_name(uint32_t which)
{
	size_t i;

	for (i = 0; i < N_OFFLOADS; i++)
		if (which >> i & 1)
			return offloads[i];
	return "none";
}

int device_set_up(const char *name, bool up)
{
	return change_flags(name, up ? IFF_UP : 0, up ? 0 : IFF_UP, NULL);
}

bool device_has_carrier(const char *name)
{
	struct ethtool_value value = { .cmd = ETHTOOL_GLINK };

	return !ethtool(name, &value) && value.data;
}
