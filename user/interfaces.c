/* SPDX-License-Identifier: GPL-2.0-only */
#include "interfaces.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"
#include "device.h"

/* The devices that are there now. */
struct links {
	struct netlink_link *all;
	size_t n;
};

static int links_get(struct links *links, char *error, size_t error_len)
{
	int err = netlink_links(&links->all, &links->n);

	if (err)
		say(error, error_len, err,
		    "cannot list the network interfaces: %s", strerror(-err));
	return err;
}

static const struct netlink_link *link_of(const struct links *links,
					  const struct interface *it)
{
	return netlink_by_name(links->all, links->n, it->name);
}

static const char *master_kind(const struct links *links,
			       const struct netlink_link *link)
{
	const struct netlink_link *master;

	if (!link->master)
		return "";
	master = netlink_by_index(links->all, links->n, link->master);
	return master ? master->kind : "device of another namespace";
}

static bool is_wire(const struct role *role)
{
	return role->forward == FORWARD_wire;
}

/* ---- what the programs are told -------------------------------------- */

/* A place that was given back: a search does not end there, as it would at 0.
 */
#define PORT_left 0xffffffffU

/* Written so that a packet never meets half an entry: the ifindex is what makes
 * it one. */
static void put_port(struct portcullis_port *to,
		     const struct portcullis_port *port)
{
	__atomic_store_n(&to->ifindex, PORT_left, __ATOMIC_SEQ_CST);
	to->id = port->id;
	to->forward = port->forward;
	to->peer = port->peer;
	to->flags = port->flags;
	to->domain = port->domain;
	to->peer_ifindex = port->peer_ifindex;
	__atomic_store_n(&to->ifindex, port->ifindex, __ATOMIC_RELEASE);
}

/* Where `ifindex` stands in the table of ports, else a free place if that will
 * do, or NULL. */
static struct portcullis_port *port_place(struct datapath *dp, uint32_t ifindex,
					  bool free_place)
{
	struct portcullis_port *port, *found = NULL;
	uint32_t i;

	for (i = 0; i < PORT_PROBES; i++) {
		port = &dp->gate->ports[(ifindex + i) % PORT_TABLE];
		if (port->ifindex == ifindex)
			return port;
		if (!found && free_place &&
		    (!port->ifindex || port->ifindex == PORT_left))
			found = port;
	}
	return found;
}

static int tell_port(struct datapath *dp, uint32_t id)
{
	const struct interface *it = &dp->own->interfaces[id];
	const struct interface *peer = &dp->own->interfaces[it->role.peer];
	bool wire = is_wire(&it->role);
	uint32_t number = id < it->role.peer ? id : it->role.peer;
	struct portcullis_port port = {
		.ifindex = it->ifindex,
		.id = id,
		.forward = it->role.forward,
		.peer = wire ? it->role.peer : 0,
		.domain = wire ? number << 16 : 0,
		.peer_ifindex = wire ? peer->ifindex : 0,
	};
	struct portcullis_port *now = port_place(dp, it->ifindex, true);

	if (!now)
		return -ENOSPC;
	if (memcmp(now, &port, sizeof(port)))
		put_port(now, &port);
	return 0;
}

static void forget_port(struct datapath *dp, uint32_t ifindex)
{
	struct portcullis_port *port = port_place(dp, ifindex, false);

	if (port)
		__atomic_store_n(&port->ifindex, PORT_left, __ATOMIC_RELEASE);
}

/* The kernel takes a device out of a devmap when it goes. */
static void put_device(int map, uint32_t key, uint32_t ifindex)
{
	uint32_t now = 0;

	if (!bpf_map_lookup_elem(map, &key, &now) && now == ifindex)
		return;
	if (ifindex)
		bpf_map_update_elem(map, &key, &ifindex, 0);
	else if (now)
		bpf_map_delete_elem(map, &key);
}

static const struct interface *monitor(const struct datapath *dp)
{
	uint32_t id;

	for (id = 1; id < PORTS_MAX; id++)
		if (dp->own->interfaces[id].used &&
		    dp->own->interfaces[id].role.is_monitor)
			return &dp->own->interfaces[id];
	return NULL;
}

/* The map of a port and the monitor, for the broadcast; pinned, since another
 * process cannot ask for it by id. -errno. */
static int copies_map(struct datapath *dp, uint32_t id)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	struct interface *it = &dp->own->interfaces[id];
	char name[24], path[256];
	int fd, err = 0;

	snprintf(name, sizeof(name), "copies_%u", id);
	fd = bpf_obj_get(pin_path(dp, name, path));
	if (fd >= 0 && it->copies)
		return fd;
	if (fd < 0) {
		fd = bpf_map_create(BPF_MAP_TYPE_DEVMAP, "copies_of_port", 4, 4,
				    2, &opts);
		if (fd < 0)
			return fd;
		if (bpf_obj_pin(fd, path))
			err = -errno;
	}
	if (!err && bpf_map_update_elem(dp->map[PIN_copies], &id, &fd, 0))
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	it->copies = 1;
	return fd;
}

static int tell_wire(struct datapath *dp, uint32_t id)
{
	const struct interface *it = &dp->own->interfaces[id];
	const struct interface *peer = &dp->own->interfaces[it->role.peer];
	const struct interface *to = monitor(dp);
	int fd;

	if (!to)
		return 0;
	fd = copies_map(dp, id);
	if (fd < 0)
		return fd;
	put_device(fd, 0, peer->ifindex);
	put_device(fd, 1, to->ifindex);
	close(fd);
	return 0;
}

static void tell_monitor(struct datapath *dp, const struct links *links)
{
	const struct interface *it = monitor(dp);
	const struct netlink_link *link = it ? link_of(links, it) : NULL;
	bool there = it && it->ifindex && link && link->carrier;

	put_device(dp->map[PIN_peers], 0, it ? it->ifindex : 0);
	__atomic_store_n(&dp->gate->monitor_ifindex, there ? it->ifindex : 0,
			 __ATOMIC_RELEASE);
	__atomic_store_n(&dp->gate->has_monitor, there, __ATOMIC_RELEASE);
}

/* Everything the programs know of interfaces, from what `own` says. */
static int tell_all(struct datapath *dp, const struct links *links)
{
	struct interface *it;
	int err, result = 0;
	uint32_t id;

	for (id = 1; id < PORTS_MAX; id++) {
		it = &dp->own->interfaces[id];
		if (!it->used || !it->ifindex)
			continue;
		err = it->role.is_monitor ? 0 : tell_port(dp, id);
		/* On the kernel way too: an answer goes back there. */
		if (!it->role.is_monitor)
			put_device(dp->map[PIN_peers], id, it->ifindex);
		if (!err && is_wire(&it->role))
			err = tell_wire(dp, id);
		attach_copier(dp, it, monitor(dp));
		result = result ?: err;
	}
	tell_monitor(dp, links);
	return result;
}

/* ---- the fail-closed table ------------------------------------------- */

struct guard_lists {
	const char *guarded[PORTS_MAX];
	uint32_t attached[PORTS_MAX];
	struct nft_guard guard;
	bool bridge; /* a guarded port belongs to a bridge */
	bool needed; /* without it the kernel way would be open */
};

static void guard_add(struct guard_lists *lists, const struct interface *it,
		      const struct role *role, const struct links *links)
{
	const struct netlink_link *link = link_of(links, it);
	bool kernel = !is_wire(role) && !role->is_monitor;

	lists->guarded[lists->guard.n_guarded++] = it->name;
	if (kernel && it->attached)
		lists->attached[lists->guard.n_attached++] = it->ifindex;
	lists->needed |= kernel;
	lists->bridge |=
	    kernel && link && !strcmp(master_kind(links, link), "bridge");
}

/* `plan` may be NULL: what is in force. Else also what it adds. */
static void guard_collect(struct datapath *dp,
			  const struct interface_plan *plan,
			  const struct links *links, struct guard_lists *lists)
{
	const struct interface *it;
	bool planned[PORTS_MAX] = { 0 };
	uint32_t id;
	size_t i;

	memset(lists, 0, sizeof(*lists));
	lists->guard.guarded = lists->guarded;
	lists->guard.attached = lists->attached;
	for (i = 0; plan && i < plan->n; i++) {
		planned[plan->id[i]] = true;
		guard_add(lists, &dp->own->interfaces[plan->id[i]],
			  &plan->role[i], links);
	}
	for (id = 1; id < PORTS_MAX; id++) {
		it = &dp->own->interfaces[id];
		if (it->used && !planned[id])
			guard_add(lists, it, &it->role, links);
	}
}

static int guard_set(struct datapath *dp, const struct interface_plan *plan,
		     const struct links *links, char *error, size_t error_len)
{
	bool open = plan ? plan->fail_open : dp->own->fail_open;
	struct guard_lists lists;
	char why[256] = "";
	int err;

	guard_collect(dp, plan, links, &lists);
	if (open)
		lists.guard.n_guarded = 0;
	err = nft_set(dp->nft, &lists.guard, lists.bridge, why, sizeof(why));
	if (!err || !lists.needed)
		return 0;
	return say(
	    error, error_len, err,
	    "cannot make the nftables table that keeps `forward kernel` closed: %s (does the kernel have nf_tables? `fail open` does without)",
	    why);
}

/* What is in force. A failure is made good by the next turn of follow. */
static void guard_now(struct datapath *dp)
{
	struct links links;

	if (netlink_links(&links.all, &links.n))
		return;
	guard_set(dp, NULL, &links, NULL, 0);
	free(links.all);
}

/* ---- planning a policy ----------------------------------------------- */

static int id_of_name(const struct datapath *dp, const char *name)
{
	int id;

	for (id = 1; id < PORTS_MAX; id++)
		if (!strcmp(dp->own->interfaces[id].name, name))
			return id;
	return 0;
}

/* An id never used, else the one that has been without a name longest. */
static int id_free(const struct datapath *dp, const bool *taken)
{
	const struct interface *it;
	int id, best = 0;

	for (id = 1; id < PORTS_MAX; id++) {
		it = &dp->own->interfaces[id];
		if (taken[id] || it->used)
			continue;
		if (!it->name[0])
			return id;
		if (!best ||
		    it->generation < dp->own->interfaces[best].generation)
			best = id;
	}
	return best;
}

static int plan_ids(const struct datapath *dp, const struct image *image,
		    struct interface_plan *plan)
{
	bool taken[PORTS_MAX] = { 0 };
	size_t i;

	if (image->n_ports >= PORTS_MAX)
		return -ENOSPC;
	plan->n = image->n_ports;
	plan->fail_open = image->fail_open;
	for (i = 0; i < plan->n; i++) {
		plan->id[i] = id_of_name(dp, image->ports[i].name);
		taken[plan->id[i]] = true;
	}
	for (i = 0; i < plan->n; i++) {
		if (!plan->id[i])
			plan->id[i] = id_free(dp, taken);
		if (!plan->id[i])
			return -ENOSPC;
		taken[plan->id[i]] = true;
	}
	for (i = 0; i < plan->n; i++) {
		plan->role[i].forward = image->ports[i].forward;
		plan->role[i].is_monitor = image->ports[i].is_monitor;
		if (image->ports[i].peer)
			plan->role[i].peer = plan->id[image->ports[i].peer - 1];
	}
	return 0;
}

static int check_there(struct datapath *dp, const struct image *image,
		       const struct interface_plan *plan,
		       const struct links *links, char *error, size_t error_len)
{
	const struct interface *it;
	size_t i;

	for (i = 0; i < plan->n; i++) {
		const char *name = image->ports[i].name;

		it = &dp->own->interfaces[plan->id[i]];
		if (netlink_by_name(links->all, links->n, name) ||
		    (it->used && !strcmp(it->name, name)) ||
		    (!dp->gate->generation && dp->options.wait_for_interfaces))
			continue;
		return say(
		    error, error_len, -ENODEV,
		    "%s: there is no such interface: correct its name (ip link lists them) or create it first",
		    name);
	}
	return 0;
}

static int check_pairs(const struct image *image, const struct links *links,
		       char *error, size_t error_len)
{
	const struct netlink_link *a, *b;
	size_t i, peer;

	for (i = 0; i < image->n_ports; i++) {
		peer = image->ports[i].peer;
		if (!peer || peer - 1 < i)
			continue;
		a = netlink_by_name(links->all, links->n, image->ports[i].name);
		b = netlink_by_name(links->all, links->n,
				    image->ports[peer - 1].name);
		if (!a || !b || a->mtu == b->mtu)
			continue;
		return say(
		    error, error_len, -EINVAL,
		    "wire %s %s: MTU %u and %u: set both to one value (ip link set dev %s mtu %u)",
		    a->name, b->name, a->mtu, b->mtu, b->name, a->mtu);
	}
	return 0;
}

int interfaces_plan(struct datapath *dp, const struct image *image,
		    struct interface_plan *plan, char *error, size_t error_len)
{
	struct links links;
	int err;

	memset(plan, 0, sizeof(*plan));
	if (plan_ids(dp, image, plan))
		return say(
		    error, error_len, -ENOSPC,
		    "more than %d interfaces in this policy and the one in force",
		    PORTS_MAX - 1);
	err = links_get(&links, error, error_len);
	if (err)
		return err;
	err = check_there(dp, image, plan, &links, error, error_len);
	if (!err)
		err = check_pairs(image, &links, error, error_len);
	free(links.all);
	return err;
}

/* ---- attaching ------------------------------------------------------- */

/* The peer may change without the port being touched. */
static bool same_role(const struct role *a, const struct role *b)
{
	return a->forward == b->forward && a->is_monitor == b->is_monitor;
}

static int attach_planned(struct datapath *dp, struct interface_plan *plan,
			  size_t i, const struct links *links, char *error,
			  size_t error_len)
{
	struct interface *it = &dp->own->interfaces[plan->id[i]];
	const struct netlink_link *link = link_of(links, it);
	int err;

	if (it->used && same_role(&it->role, &plan->role[i]))
		return 0;
	plan->attached_now[i] = true;
	if (it->ifindex) {
		forget_port(dp, it->ifindex);
		detach(dp, it, link ? it->name : NULL);
	}
	if (!link) {
		snprintf(it->why, sizeof(it->why), "not there yet");
		return 0;
	}
	err = attach(dp, it, &plan->role[i], link, master_kind(links, link),
		     error, error_len);
	return err;
}

/* Native XDP can send only to a driver that runs XDP too; generic XDP to any.
 * So both ends of a wire run the same. */
static void match_ends(struct datapath *dp, struct interface *a,
		       struct interface *b)
{
	static const char why[] = "the other end's driver does not run XDP";

	if (a->attached == ATTACHED_native && b->attached == ATTACHED_generic)
		attach_lower(dp, a, why);
	if (b->attached == ATTACHED_native && a->attached == ATTACHED_generic)
		attach_lower(dp, b, why);
}

static int check_monitor(struct datapath *dp, const struct interface_plan *plan,
			 char *error, size_t error_len)
{
	const struct interface *it, *to = NULL;
	bool native = false;
	size_t i;

	for (i = 0; i < plan->n; i++) {
		it = &dp->own->interfaces[plan->id[i]];
		if (plan->role[i].is_monitor)
			to = it;
		else if (is_wire(&plan->role[i]))
			native |= it->attached == ATTACHED_native;
	}
	if (!native || !to || !to->ifindex || to->attached)
		return 0;
	return say(
	    error, error_len, -EOPNOTSUPP,
	    "monitor port %s: its driver does not run XDP, so a wire in native XDP cannot send copies there: use another port, or generic XDP",
	    to->name);
}

static void match_planned(struct datapath *dp,
			  const struct interface_plan *plan)
{
	struct interface *all = dp->own->interfaces;
	size_t i;

	for (i = 0; i < plan->n; i++)
		if (is_wire(&plan->role[i]) && plan->id[i] < plan->role[i].peer)
			match_ends(dp, &all[plan->id[i]],
				   &all[plan->role[i].peer]);
}

static void name_planned(struct datapath *dp, const struct image *image,
			 const struct interface_plan *plan)
{
	struct interface *it;
	uint8_t copies;
	size_t i;

	for (i = 0; i < plan->n; i++) {
		it = &dp->own->interfaces[plan->id[i]];
		if (it->used)
			continue;
		copies = it->copies;
		memset(it, 0, sizeof(*it));
		memcpy(it->name, image->ports[i].name, sizeof(it->name) - 1);
		it->copies = copies;
	}
}

int interfaces_prepare(struct datapath *dp, const struct image *image,
		       struct interface_plan *plan, char *error,
		       size_t error_len)
{
	struct links links;
	size_t i;
	int err = links_get(&links, error, error_len);

	if (err)
		return err;
	memcpy(plan->before, dp->own->interfaces, sizeof(plan->before));
	plan->fail_open_before = dp->own->fail_open;
	name_planned(dp, image, plan);
	err = guard_set(dp, plan, &links, error, error_len);
	for (i = 0; !err && i < plan->n; i++)
		err = attach_planned(dp, plan, i, &links, error, error_len);
	free(links.all);
	if (!err) {
		match_planned(dp, plan);
		err = check_monitor(dp, plan, error, error_len);
	}
	if (err)
		interfaces_undo(dp, plan);
	return err;
}

void interfaces_undo(struct datapath *dp, const struct interface_plan *plan)
{
	const struct interface *was;
	struct interface *it;
	size_t i;

	dp->own->fail_open = plan->fail_open_before;
	for (i = 0; i < plan->n; i++) {
		was = &plan->before[plan->id[i]];
		it = &dp->own->interfaces[plan->id[i]];
		if (plan->attached_now[i] && it->ifindex) {
			forget_port(dp, it->ifindex);
			detach(dp, it, it->name);
		}
		it->role = was->role;
		it->generation = was->generation;
		it->used = was->used;
		if (!it->used)
			it->name[0] = '\0';
	}
	interfaces_follow(dp); /* what had another role comes back */
	guard_now(dp);
}

int interfaces_commit(struct datapath *dp, const struct interface_plan *plan,
		      uint32_t generation, char *error, size_t error_len)
{
	struct interface *it;
	struct links links;
	size_t i;
	int err = links_get(&links, error, error_len);

	if (err)
		return err;
	for (i = 0; i < plan->n; i++) {
		it = &dp->own->interfaces[plan->id[i]];
		it->role = plan->role[i];
		it->generation = generation;
		it->used = 1;
	}
	dp->own->fail_open = plan->fail_open;
	err = tell_all(dp, &links);
	free(links.all);
	if (err)
		say(error, error_len, err,
		    "cannot tell the programs of the interfaces: %s",
		    strerror(-err));
	return err;
}

static void let_go(struct datapath *dp, struct interface *it,
		   const struct links *links)
{
	const struct netlink_link *link =
	    netlink_by_index(links->all, links->n, it->ifindex);

	if (it->held && link)
		device_set_up(link->name, true);
	it->held = 0;
	if (it->ifindex) {
		forget_port(dp, it->ifindex);
		detach(dp, it, link ? link->name : NULL);
	}
	it->used = 0;
}

void interfaces_finish(struct datapath *dp)
{
	uint32_t generation = dp->gate->generation;
	struct interface *it;
	struct links links;
	uint32_t id;

	if (netlink_links(&links.all, &links.n))
		return; /* the next turn of follow does it */
	for (id = 1; id < PORTS_MAX; id++) {
		it = &dp->own->interfaces[id];
		if (it->used && it->generation != generation)
			let_go(dp, it, &links);
	}
	free(links.all);
	guard_now(dp);
}

/* ---- following ------------------------------------------------------- */

/* True if something changed. */
static bool follow_one(struct datapath *dp, struct interface *it,
		       const struct links *links)
{
	const struct netlink_link *link = link_of(links, it);
	const struct netlink_link *old =
	    netlink_by_index(links->all, links->n, it->ifindex);
	char why[sizeof(it->why)] = "";

	if (link && it->ifindex == link->ifindex && attach_stands(dp, it))
		return false;
	if (it->ifindex) {
		forget_port(dp, it->ifindex);
		detach(dp, it, old ? old->name : NULL);
	} else if (!link) {
		return false;
	}
	if (!link)
		snprintf(it->why, sizeof(it->why), "not there");
	else if (attach(dp, it, &it->role, link, master_kind(links, link), why,
			sizeof(why)))
		memcpy(it->why, why, sizeof(why));
	return true;
}

/* A port that is held down, or is just coming up, tells nothing. */
static bool is_lost(const struct interface *it, const struct netlink_link *link)
{
	if (it->held)
		return false;
	if (!link)
		return true;
	if (link->carrier)
		return false;
	return it->seen_carrier || monotonic_now() > it->settles;
}

static void hold(struct interface *it, const struct netlink_link *link)
{
	if (link && link->flags & IFF_UP && !device_set_up(it->name, false))
		it->held = 1;
}

static void let_up(struct interface *it)
{
	device_set_up(it->name, true);
	it->held = 0;
	it->seen_carrier = device_has_carrier(it->name);
	it->settles = monotonic_now() + SETTLE_NS;
}

static bool has_carrier(const struct netlink_link *link)
{
	return link && link->carrier;
}

/* One step a turn: the links were listed before it. Only one end of a wire is
 * ever held, for an end that is held is not lost. */
static void follow_wire(struct interface *a, struct interface *b,
			const struct links *links)
{
	const struct netlink_link *to_a = link_of(links, a);
	const struct netlink_link *to_b = link_of(links, b);

	a->seen_carrier |= has_carrier(to_a);
	b->seen_carrier |= has_carrier(to_b);
	if (is_lost(a, to_a))
		hold(b, to_b);
	else if (is_lost(b, to_b))
		hold(a, to_a);
	else if (b->held && to_b && has_carrier(to_a))
		let_up(b);
	else if (a->held && to_a && has_carrier(to_b))
		let_up(a);
}

void interfaces_follow(struct datapath *dp)
{
	struct interface *it;
	struct links links;
	bool changed = false;
	uint32_t id;

	if (netlink_links(&links.all, &links.n))
		return;
	for (id = 1; id < PORTS_MAX; id++) {
		it = &dp->own->interfaces[id];
		if (it->used)
			changed |= follow_one(dp, it, &links);
		else if (it->ifindex) /* of an apply that was killed */
			let_go(dp, it, &links);
	}
	tell_all(dp, &links);
	if (changed || (!dp->own->fail_open && !nft_stands(dp->nft)))
		guard_set(dp, NULL, &links, NULL, 0);
	for (id = 1; id < PORTS_MAX; id++) {
		it = &dp->own->interfaces[id];
		if (!it->used || !is_wire(&it->role) || id > it->role.peer)
			continue;
		match_ends(dp, it, &dp->own->interfaces[it->role.peer]);
		follow_wire(it, &dp->own->interfaces[it->role.peer], &links);
	}
	free(links.all);
}

void interfaces_release(struct datapath *dp)
{
	struct links links = { 0 };
	uint32_t id;

	if (netlink_links(&links.all, &links.n))
		links.n = 0;
	for (id = 1; id < PORTS_MAX; id++)
		if (dp->own->interfaces[id].name[0])
			let_go(dp, &dp->own->interfaces[id], &links);
	nft_remove(dp->nft);
	free(links.all);
}

/* ---- status ---------------------------------------------------------- */

static const char *door_name(uint8_t attached)
{
	static const char *const names[] = {
		[ATTACHED_none] = "detached",
		[ATTACHED_native] = "xdp-native",
		[ATTACHED_generic] = "xdp-generic",
		[ATTACHED_tcx] = "tc",
		[ATTACHED_clsact] = "tc",
	};

	return attached < sizeof(names) / sizeof(names[0]) ? names[attached]
							   : "detached";
}

static void status_of(struct datapath *dp, uint32_t id,
		      const struct links *links,
		      struct datapath_port_status *status, char *text,
		      size_t text_len)
{
	const struct interface *it = &dp->own->interfaces[id];
	const struct netlink_link *link =
	    netlink_by_index(links->all, links->n, it->ifindex);

	memset(status, 0, sizeof(*status));
	memcpy(status->name, it->name, sizeof(status->name));
	status->ifindex = link ? link->ifindex : 0;
	status->door = door_name(it->attached);
	status->why = it->why;
	status->forward = text;
	status->up = link && link->flags & IFF_UP && link->carrier;
	if (link && link->tx_lost > it->lost_before)
		status->lost = link->tx_lost - it->lost_before;
	if (is_wire(&it->role))
		snprintf(text, text_len, "wire %s",
			 dp->own->interfaces[it->role.peer].name);
	else
		snprintf(text, text_len,
			 it->role.is_monitor ? "monitor" : "kernel");
}

void interfaces_status(struct datapath *dp, size_t *ret_n)
{
	struct links links = { 0 };
	uint32_t id;
	size_t n = 0;

	if (netlink_links(&links.all, &links.n))
		links.n = 0;
	for (id = 1; id < PORTS_MAX; id++) {
		if (!dp->own->interfaces[id].used)
			continue;
		status_of(dp, id, &links, &dp->status[n], dp->status_text[n],
			  sizeof(dp->status_text[n]));
		n++;
	}
	free(links.all);
	*ret_n = n;
}
