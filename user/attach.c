/* SPDX-License-Identifier: GPL-2.0-only */
#include "attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "device.h"

/* enum bpf_attach_type of kernels from 6.6 on. */
#define ATTACH_TCX_INGRESS 46

/* How a clsact filter of ours is found again: "PC", before all others. */
enum { TC_HANDLE = 0x5043, TC_PRIORITY = 1 };

#define LINK_judge "link"
#define LINK_copier "copier"

static const char *link_pin(const struct datapath *dp, const char *what,
			    uint32_t ifindex, char *path)
{
	char name[24];

	snprintf(name, sizeof(name), "%s_%u", what, ifindex);
	return pin_path(dp, name, path);
}

/* Makes a link and pins it. 0 / -errno. */
static int make_link(struct datapath *dp, const char *what, int prog,
		     uint32_t ifindex, enum bpf_attach_type type,
		     uint32_t flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);
	char path[PIN_PATH];
	int err = 0, fd;

	fd = bpf_link_create(prog, ifindex, type, &opts);
	if (fd < 0)
		return fd;
	link_pin(dp, what, ifindex, path);
	unlink(path); /* of a device that had this index before */
	if (bpf_obj_pin(fd, path))
		err = -errno;
	close(fd); /* unpinned, it detaches */
	return err;
}

/* Detached before the pin goes: the kernel drops the last reference to a link
 * some time later, and the device would be busy until then. */
static void drop_link(const struct datapath *dp, const char *what,
		      uint32_t ifindex)
{
	char path[PIN_PATH];
	int fd;

	fd = bpf_obj_get(link_pin(dp, what, ifindex, path));
	if (fd >= 0) {
		bpf_link_detach(fd);
		close(fd);
	}
	unlink(path);
}

static int attach_clsact(struct interface *it, int prog, uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE,
		    .priority = TC_PRIORITY, .prog_fd = prog,
		    .flags = BPF_TC_F_REPLACE);
	int err = bpf_tc_hook_create(&hook);

	if (err && err != -EEXIST)
		return err;
	it->made_clsact |= !err;
	return bpf_tc_attach(&hook, &opts);
}

static uint32_t clsact_prog_id(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE,
		    .priority = TC_PRIORITY);

	return bpf_tc_query(&hook, &opts) ? 0 : opts.prog_id;
}

static void drop_clsact(const struct interface *it)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = it->ifindex,
		    .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE,
		    .priority = TC_PRIORITY);

	bpf_tc_detach(&hook, &opts);
	if (it->made_clsact && !netlink_has_filters(it->ifindex)) {
		hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		bpf_tc_hook_destroy(&hook);
	}
}

static uint32_t prog_id(int fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

/* The device of a pinned link, 0: there is none any more. Links of all kinds
 * that are made here tell the index at the same place. */
static uint32_t link_ifindex(const struct datapath *dp, const char *what,
			     uint32_t ifindex)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);
	char path[PIN_PATH];
	int err, fd;

	fd = bpf_obj_get(link_pin(dp, what, ifindex, path));
	if (fd < 0)
		return 0;
	err = bpf_obj_get_info_by_fd(fd, &info, &len);
	close(fd);
	return err ? 0 : info.xdp.ifindex;
}

static bool stands(const struct datapath *dp, const struct interface *it,
		   uint8_t attached, const char *what, int tc_prog)
{
	if (attached == ATTACHED_clsact)
		return clsact_prog_id(it->ifindex) == prog_id(tc_prog);
	return attached && link_ifindex(dp, what, it->ifindex) == it->ifindex;
}

bool attach_stands(struct datapath *dp, const struct interface *it)
{
	if (it->role.is_monitor && !it->attached)
		return true;
	return stands(dp, it, it->attached, LINK_judge, dp->prog_tc);
}

/* ---- may it be attached at all --------------------------------------- */

/* Only who may look programs up can tell. */
static bool is_a_gate(uint32_t id)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);

	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len) &&
	       !strcmp(info.name, "portcullis_xdp");
}

static int check_foreign(const struct netlink_link *link, char *error,
			 size_t error_len)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	int err = bpf_xdp_query(link->ifindex, 0, &opts);
	uint32_t id;

	if (err)
		return say(error, error_len, err, "%s: cannot ask for XDP: %s",
			   link->name, strerror(-err));
	id = opts.drv_prog_id ?: opts.skb_prog_id ?: opts.hw_prog_id;
	if (!id)
		return 0;
	if (is_a_gate(id))
		return say(
		    error, error_len, -EBUSY,
		    "%s: another gate, pinned elsewhere, stands there: take that one down (portcullis detach with its --pin-dir) or leave the interface out of the policy",
		    link->name);
	return say(
	    error, error_len, -EBUSY,
	    "%s: XDP program %u of somebody else is attached: remove it (ip link set dev %s xdp off) or leave the interface out of the policy",
	    link->name, id, link->name);
}

static int check_kind(const struct netlink_link *link, const char *master_kind,
		      const struct role *role, char *error, size_t error_len)
{
	if (!strcmp(master_kind, "bond") || !strcmp(master_kind, "team"))
		return say(
		    error, error_len, -EINVAL,
		    "%s: belongs to a %s: name that in the policy, not its parts",
		    link->name, master_kind);
	if (role->forward != FORWARD_wire)
		return 0;
	if (link->master)
		return say(
		    error, error_len, -EINVAL,
		    "%s: belongs to a %s: take it out of there (ip link set dev %s nomaster), a wire has its ports for itself",
		    link->name, master_kind, link->name);
	if (!strcmp(link->kind, "bond") || !strcmp(link->kind, "team") ||
	    !strcmp(link->kind, "bridge"))
		return say(error, error_len, -EINVAL,
			   "%s: is a %s: a wire joins two plain ports",
			   link->name, link->kind);
	return 0;
}

/* ---- doors ----------------------------------------------------------- */

static int try_xdp(struct datapath *dp, uint32_t ifindex, bool native)
{
	return make_link(dp, LINK_judge, dp->prog_xdp, ifindex, BPF_XDP,
			 native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
}

/* *attached becomes how it was done. */
static int hook_tc(struct datapath *dp, struct interface *it, const char *what,
		   int prog, uint32_t ifindex, uint8_t *attached)
{
	int err = -EOPNOTSUPP;

	if (dp->options.door != DATAPATH_clsact)
		err = make_link(dp, what, prog, ifindex, ATTACH_TCX_INGRESS, 0);
	if (!err) {
		*attached = ATTACHED_tcx;
		return 0;
	}
	err = attach_clsact(it, prog, ifindex);
	if (!err)
		*attached = ATTACHED_clsact;
	return err;
}

static int try_tc(struct datapath *dp, struct interface *it, uint32_t ifindex,
		  char *error, size_t error_len)
{
	int err = pins_need_tc(dp, error, error_len);

	if (err)
		return err;
	return hook_tc(dp, it, LINK_judge, dp->prog_tc, ifindex, &it->attached);
}

static bool is_xdp(const struct interface *it)
{
	return it->attached == ATTACHED_native ||
	       it->attached == ATTACHED_generic;
}

static void drop_copier(struct datapath *dp, struct interface *it)
{
	if (it->copier == ATTACHED_clsact)
		drop_clsact(it);
	else if (it->copier)
		drop_link(dp, LINK_copier, it->ifindex);
	it->copier = ATTACHED_none;
}

void attach_copier(struct datapath *dp, struct interface *it,
		   const struct interface *monitor)
{
	bool wanted = monitor && is_xdp(it) && !it->role.is_monitor &&
		      it->role.forward == FORWARD_kernel;

	if (it->copier &&
	    !stands(dp, it, it->copier, LINK_copier, dp->prog_copy))
		it->copier = ATTACHED_none;
	if (wanted && !it->copier)
		hook_tc(dp, it, LINK_copier, dp->prog_copy, it->ifindex,
			&it->copier);
	else if (!wanted && it->copier)
		drop_copier(dp, it);
}

static void because(struct interface *it, const char *what, int err)
{
	if (err)
		snprintf(it->why, sizeof(it->why), "%s (%s)", what,
			 strerror(-err));
	else
		snprintf(it->why, sizeof(it->why), "%s", what);
}

static bool asks_for_tc(const struct datapath *dp)
{
	return dp->options.door == DATAPATH_tc ||
	       dp->options.door == DATAPATH_clsact;
}

/* The one door that the options name. */
static int open_named(struct datapath *dp, struct interface *it,
		      uint32_t ifindex, char *error, size_t error_len)
{
	bool native = dp->options.door == DATAPATH_native;
	int err;

	because(it, "asked for", 0);
	if (asks_for_tc(dp))
		return try_tc(dp, it, ifindex, error, error_len);
	err = try_xdp(dp, ifindex, native);
	if (!err)
		it->attached = native ? ATTACHED_native : ATTACHED_generic;
	return err;
}

static int open_best(struct datapath *dp, struct interface *it,
		     const struct role *role, uint32_t ifindex, char *error,
		     size_t error_len)
{
	int native, err;

	because(it, "the driver runs XDP", 0);
	it->attached = ATTACHED_native;
	native = try_xdp(dp, ifindex, true);
	if (!native)
		return 0;
	it->attached = ATTACHED_generic;
	because(it, "the driver does not run XDP", native);
	err = try_xdp(dp, ifindex, false);
	if (!err || role->forward == FORWARD_wire)
		return err;
	because(it, "neither the driver nor the kernel run XDP here", err);
	return try_tc(dp, it, ifindex, error, error_len);
}

/* A driver may lend its transmit rings to a redirect only while it runs an XDP
 * program itself. Whatever comes in there is refused as not_a_port. */
static void open_monitor(struct datapath *dp, struct interface *it,
			 uint32_t ifindex)
{
	int err = try_xdp(dp, ifindex, true);

	it->attached = err ? ATTACHED_none : ATTACHED_native;
	because(it, "takes copies", 0);
}

/* What the device could not switch off and the door cannot do without. */
static int check_stuck(const struct interface *it, uint32_t stuck,
		       const char *name, char *error, size_t error_len)
{
	stuck &= DEVICE_rxvlan | DEVICE_rxvlan_stag | DEVICE_lro;
	if (!is_xdp(it) || !stuck)
		return 0;
	return say(
	    error, error_len, -EOPNOTSUPP,
	    "%s: the driver does not switch %s off, so frames would be judged wrongly: use another interface",
	    name, device_offload_name(stuck));
}

static int open_door(struct datapath *dp, struct interface *it,
		     const struct role *role, const struct netlink_link *link,
		     uint32_t stuck, char *error, size_t error_len)
{
	char why[256] = "";
	int err;

	if (role->forward == FORWARD_wire && asks_for_tc(dp))
		return say(error, error_len, -EINVAL,
			   "%s: a wire needs XDP: do not ask for tc",
			   link->name);
	it->ifindex = link->ifindex;
	if (dp->options.door == DATAPATH_auto)
		err = open_best(dp, it, role, link->ifindex, why, sizeof(why));
	else
		err = open_named(dp, it, link->ifindex, why, sizeof(why));
	if (err) {
		it->attached = ATTACHED_none;
		return say(error, error_len, err, "%s: cannot attach: %s: %s",
			   link->name, it->why, why[0] ? why : strerror(-err));
	}
	return check_stuck(it, stuck, link->name, error, error_len);
}

/* A gateway that routes more slowly than before wants to know why. */
static void tell_offloads(struct interface *it)
{
	uint32_t off = it->changed & DEVICE_offloads;
	size_t at = strlen(it->why);
	const char *between = "; switched off: ";

	for (; off; off &= off - 1, between = ", ") {
		at += snprintf(it->why + at, sizeof(it->why) - at, "%s%s",
			       between, device_offload_name(off));
		if (at >= sizeof(it->why))
			return;
	}
}

int attach(struct datapath *dp, struct interface *it, const struct role *role,
	   const struct netlink_link *link, const char *master_kind,
	   char *error, size_t error_len)
{
	bool wire = role->forward == FORWARD_wire;
	uint32_t stuck = 0;
	int err;

	err = check_foreign(link, error, error_len);
	if (!err)
		err = check_kind(link, master_kind, role, error, error_len);
	if (err && !role->is_monitor)
		return err;
	it->ifindex = link->ifindex;
	it->lost_before = link->tx_lost;
	it->settles = monotonic_now() + SETTLE_NS;
	it->seen_carrier = link->carrier;
	if (role->is_monitor) {
		device_raise(link->name, &it->changed);
		if (!err)
			open_monitor(dp, it, link->ifindex);
		return 0;
	}
	err = device_prepare(link->name, wire, &it->changed, &stuck);
	if (err)
		say(error, error_len, err, "%s: cannot set the device up: %s",
		    link->name, strerror(-err));
	else
		err = open_door(dp, it, role, link, stuck, error, error_len);
	if (err)
		detach(dp, it, link->name);
	else
		tell_offloads(it);
	return err;
}

void attach_lower(struct datapath *dp, struct interface *it,
		  const char *because)
{
	drop_link(dp, LINK_judge, it->ifindex);
	it->attached = ATTACHED_none;
	if (try_xdp(dp, it->ifindex, false))
		return;
	it->attached = ATTACHED_generic;
	snprintf(it->why, sizeof(it->why), "%s", because);
}

void detach(struct datapath *dp, struct interface *it, const char *name)
{
	drop_copier(dp, it);
	if (it->attached != ATTACHED_clsact)
		drop_link(dp, LINK_judge, it->ifindex);
	else if (name)
		drop_clsact(it);
	if (name)
		device_restore(name, it->changed);
	it->attached = ATTACHED_none;
	it->changed = 0;
	it->made_clsact = 0;
	it->ifindex = 0;
}
