/* SPDX-License-Identifier: GPL-2.0-only */
/* What the names mean, and every check of meaning. */
#include <stdlib.h>
#include <string.h>

#include "policy_tree.h"

/* ---- names ----------------------------------------------------------- */

static bool declare(struct policy *p, struct names *names, struct word *name,
		    void *value)
{
	const struct word *first =
	    table_find(&names->table, name->text, strlen(name->text));

	if (first) {
		policy_error(p, &name->spot, "a second %s named '%s'",
			     names->kind, name->text);
		policy_note(p, "first defined at %s",
			    policy_where(p, &name->spot, &first->spot));
		return false;
	}
	word_append(p, &names->list, name);
	/* Every kind of thing begins with its name. */
	table_add(p, &names->table, name->text, strlen(name->text), value);
	return true;
}

static void note_known(struct policy *p, const struct names *names,
		       const struct word *word)
{
	const struct word *w = names->list.first;
	struct text text = { 0 };
	struct guess guess;
	int n = 0;

	guess_start(&guess, word->text);
	for (; w; w = w->next)
		guess_offer(&guess, w->text, w->spot.line ? &w->spot : NULL);
	if (guess_note(p, &guess, &word->spot))
		return;
	for (w = names->list.first; w && n < 8; w = w->next, n++)
		text_add(p, &text, "%s%s", n ? ", " : "", w->text);
	if (!n)
		policy_note(p, "there is no %s yet", names->kind);
	else
		policy_note(p, "known: %s%s", text.data, w ? ", …" : "");
}

static void *find_name(struct policy *p, const struct names *names,
		       const struct word *word)
{
	void *value = table_find(&names->table, word->text, strlen(word->text));

	if (value)
		return value;
	policy_error(p, &word->spot, "no %s named '%s'", names->kind,
		     word->text);
	note_known(p, names, word);
	return NULL;
}

static bool too_many(struct policy *p, const struct spot *spot, size_t n,
		     size_t max, const char *what)
{
	if (n != max)
		return n > max;
	policy_error(p, spot, "more than %zu %s", max - 1, what);
	return true;
}

static void declare_zones(struct policy *p)
{
	struct zone_tree *self = &p->self;

	self->name = (struct word){ .text = "self", .spot = { .len = 4 } };
	self->title = "the gateway itself";
	self->is_self = true;
	self->id = ++p->n_zones;
	declare(p, &p->zone_names, &self->name, self);
	for (struct zone_tree *z = p->zones; z; z = z->next) {
		z->id = ++p->n_zones;
		if (too_many(p, &z->name.spot, p->n_zones, ZONES_MAX, "zones"))
			return;
		if (strcmp(z->name.text, "self")) {
			declare(p, &p->zone_names, &z->name, z);
			continue;
		}
		policy_error(p, &z->name.spot,
			     "the zone 'self' is always there");
		policy_note(
		    p,
		    "it holds the gateway's own addresses; conduits may name it");
	}
}

static void declare_all(struct policy *p)
{
	p->service_names.kind = "service";
	p->zone_names.kind = "zone";
	p->asset_names.kind = "asset";
	p->conduit_names.kind = "conduit";
	declare_zones(p);
	for (struct service_tree *s = p->services; s; s = s->next) {
		s->id = ++p->n_services;
		if (too_many(p, &s->name.spot, p->n_services, SERVICES_MAX,
			     "services"))
			break;
		declare(p, &p->service_names, &s->name, s);
	}
	for (struct asset_tree *a = p->assets; a; a = a->next) {
		a->id = ++p->n_assets;
		if (too_many(p, &a->name.spot, p->n_assets, UINT16_MAX,
			     "assets"))
			break;
		declare(p, &p->asset_names, &a->name, a);
	}
	for (struct conduit_tree *c = p->conduits; c; c = c->next) {
		c->id = ++p->n_conduits;
		if (too_many(p, &c->name.spot, p->n_conduits, CONDUITS_MAX,
			     "conduits"))
			break;
		declare(p, &p->conduit_names, &c->name, c);
	}
}

/* ---- interfaces ------------------------------------------------------ */

/* Port id of an interface, or 0. */
static unsigned int find_port(const struct policy *p, const char *name)
{
	for (size_t i = 0; i < p->n_ports; i++)
		if (!strcmp(p->ports[i].name, name))
			return i + 1;
	return 0;
}

static unsigned int add_port(struct policy *p, const struct word *name)
{
	struct image_port *port = &p->ports[p->n_ports];

	if (p->n_ports >= PORTS_MAX - 1) {
		policy_error(p, &name->spot, "more than %d interfaces",
			     PORTS_MAX - 1);
		return 0;
	}
	memcpy(port->name, name->text, name->spot.len);
	p->port_at[p->n_ports] = name->spot;
	return ++p->n_ports;
}

static bool port_is_new(struct policy *p, const struct word *name)
{
	unsigned int id = find_port(p, name->text);

	if (!id)
		return true;
	policy_error(p, &name->spot, "'%s' has another task", name->text);
	policy_note(
	    p,
	    "it stands at %s; an interface is an end of one wire, or routed, or the monitor port",
	    policy_where(p, &name->spot, &p->port_at[id - 1]));
	return false;
}

static void resolve_wires(struct policy *p)
{
	unsigned int number = 0, a, b;

	for (struct wire_tree *w = p->site.wires; w; w = w->next) {
		if (!strcmp(w->a.text, w->b.text)) {
			policy_error(p, &w->b.spot,
				     "a wire needs two different interfaces");
			continue;
		}
		if (!port_is_new(p, &w->a) || !port_is_new(p, &w->b))
			continue;
		a = add_port(p, &w->a);
		b = add_port(p, &w->b);
		if (!a || !b)
			return;
		number++;
		p->ports[a - 1].forward = FORWARD_wire;
		p->ports[b - 1].forward = FORWARD_wire;
		p->ports[a - 1].peer = b;
		p->ports[b - 1].peer = a;
		p->ports[a - 1].wire = number;
		p->ports[b - 1].wire = number;
	}
}

static void resolve_kernel_ports(struct policy *p)
{
	const struct word *w = p->site.kernel_ports.first;
	unsigned int id;

	for (; w; w = w->next) {
		id = find_port(p, w->text);
		if (!id) {
			add_port(p, w);
			continue;
		}
		policy_error(
		    p, &w->spot,
		    "'%s' is an end of a wire, so the kernel cannot forward there",
		    w->text);
		policy_note(p, "the wire is laid at %s",
			    policy_where(p, &w->spot, &p->port_at[id - 1]));
	}
}

/* Zones first, so that a monitor port inside a zone is noticed. */
static void resolve_interfaces(struct policy *p)
{
	struct word monitor = { .spot = p->site.monitor_at,
				.text = p->site.monitor_port };
	unsigned int id;

	resolve_wires(p);
	resolve_kernel_ports(p);
	for (struct zone_tree *z = p->zones; z; z = z->next) {
		const struct word *w = z->interfaces.first;

		for (; w; w = w->next) {
			id = find_port(p, w->text);
			if (!id)
				id = add_port(p, w);
			z->ports |= id ? 1ULL << id : 0;
		}
	}
	if (!monitor.text || !port_is_new(p, &monitor))
		return;
	id = add_port(p, &monitor);
	if (id)
		p->ports[id - 1].is_monitor = 1;
}

/* ---- services -------------------------------------------------------- */

static void unknown_protocol(struct policy *p, const struct word *word)
{
	const struct protocol *all;
	const char **words;
	size_t n;

	all = protocol_list(&n);
	words = arena_alloc(p, (n + 1) * sizeof(*words));
	for (size_t i = 0; i < n; i++)
		words[i] = all[i].name;
	policy_error(p, &word->spot, "no protocol named '%s'", word->text);
	policy_note_words(p, word->text, words);
}

static void resolve_expects(struct policy *p, struct service_tree *s)
{
	const struct protocol *proto;

	for (const struct word *w = s->expects.first; w; w = w->next) {
		proto = protocol_find(w->text);
		if (!proto) {
			unknown_protocol(p, w);
			s->broken = true;
			continue;
		}
		for (unsigned int i = 0; i < s->n_protos; i++) {
			if (s->protos[i] != proto)
				continue;
			policy_error(p, &w->spot, "'%s' stands twice", w->text);
			s->broken = true;
			return;
		}
		if (s->n_protos == RULESET_PROTOS) {
			policy_error(
			    p, &w->spot,
			    "a service can expect %d protocols at most",
			    RULESET_PROTOS);
			s->broken = true;
			return;
		}
		s->protos[s->n_protos++] = proto;
	}
}

/* The statement that named the port before `range` did. */
static const struct service_tree *port_owner(const struct policy *p,
					     const struct port_range *range,
					     unsigned int port,
					     const struct spot **ret_spot)
{
	const struct service_tree *s;
	const struct port_range *r;

	for (s = p->services; s; s = s->next) {
		for (r = s->ports; r && r != range; r = r->next) {
			if (r->l4 != range->l4 || port < r->first ||
			    port > r->last)
				continue;
			*ret_spot = &r->spot;
			return s;
		}
	}
	return NULL;
}

static void port_taken(struct policy *p, const struct port_range *range,
		       unsigned int port)
{
	const struct service_tree *owner = NULL;
	const struct spot *spot = NULL;

	policy_error(p, &range->spot, "%s port %u already belongs to a service",
		     range->l4 == TRANSPORT_udp ? "udp" : "tcp", port);
	if (p->n_errors <= POLICY_ERRORS_MAX)
		owner = port_owner(p, range, port, &spot);
	if (owner)
		policy_note(
		    p,
		    "to '%s' at %s; one service may expect several protocols",
		    owner->name.text, policy_where(p, &range->spot, spot));
}

static void check_port(struct policy *p, struct service_tree *s,
		       const struct port_range *range)
{
	uint16_t *of = p->service_of[range->l4 == TRANSPORT_udp];

	for (unsigned int port = range->first; port <= range->last; port++) {
		if (of[port]) {
			port_taken(p, range, port);
			return;
		}
		of[port] = s->id;
	}
}

/* A protocol that never runs over UDP is never found there. */
static void check_udp(struct policy *p, struct service_tree *s)
{
	const struct port_range *udp = NULL;
	bool only_udp = true;
	unsigned int n = 0;

	for (const struct port_range *r = s->ports; r; r = r->next) {
		if (r->l4 != TRANSPORT_udp)
			only_udp = false;
		else if (!udp)
			udp = r;
	}
	if (!udp || s->broken)
		return;
	for (unsigned int i = 0; i < s->n_protos; i++)
		n += s->protos[i]->answers > 0;
	for (unsigned int i = 0; i < s->n_protos; i++) {
		if (s->protos[i]->answers || (n && !only_udp))
			continue;
		policy_error(p, &udp->spot, "%s does not run over UDP",
			     s->protos[i]->name);
		policy_note(p, "its place by standard is '%s'",
			    s->protos[i]->ports);
		s->broken = true;
		return;
	}
}

static void resolve_services(struct policy *p)
{
	for (struct service_tree *s = p->services; s; s = s->next) {
		for (struct port_range *r = s->ports; r; r = r->next)
			check_port(p, s, r);
		resolve_expects(p, s);
		check_udp(p, s);
	}
}

/* ---- zones ----------------------------------------------------------- */

/* What two equal networks share; no holes, so that it can be a key. */
struct network_key {
	uint8_t family;
	uint8_t prefixlen;
	uint8_t addr[16];
};

static struct network_key *network_key(struct policy *p,
				       const struct network_tree *network)
{
	struct network_key *key = arena_alloc(p, sizeof(*key));

	key->family = network->family;
	key->prefixlen = network->prefixlen;
	memcpy(key->addr, network->addr, 16);
	return key;
}

static void held_already(struct policy *p, const struct spot *spot,
			 const struct holder *holder, const char *what,
			 const struct zone_tree *zone)
{
	if (holder->asset)
		policy_error(p, spot, "%s already belongs to asset '%s'", what,
			     holder->asset->name.text);
	else if (holder->zone == zone)
		policy_error(p, spot, "%s stands twice in this zone", what);
	else
		policy_error(p, spot, "%s already belongs to zone '%s'", what,
			     holder->zone->name.text);
	policy_note(p, "first named at %s",
		    policy_where(p, spot, &holder->network.spot));
}

static void hold(struct policy *p, struct table *held,
		 const struct network_tree *network, struct zone_tree *zone,
		 struct asset_tree *asset)
{
	struct network_key *key = network_key(p, network);
	struct holder *holder = table_find(held, key, sizeof(*key));

	if (!holder) {
		holder = arena_alloc(p, sizeof(*holder));
		*holder = (struct holder){ *network, zone, asset, NULL };
		*p->holders_end = holder;
		p->holders_end = &holder->next;
		table_add(p, held, key, sizeof(*key), holder);
	} else if (asset && !holder->asset && holder->zone == zone) {
		/* The zone names its one host as a network too. */
		holder->asset = asset;
	} else {
		held_already(p, &network->spot, holder,
			     asset ? "this address" : "this network", zone);
	}
}

static void resolve_zones(struct policy *p)
{
	struct network_tree host;
	struct table held = { 0 };

	for (struct zone_tree *z = p->zones; z; z = z->next) {
		for (struct network_tree *n = z->networks; n; n = n->next)
			hold(p, &held, n, z, NULL);
		if (z->networks || z->n_assets || z->broken)
			continue;
		policy_error(p, &z->name.spot, "the zone '%s' holds no address",
			     z->name.text);
		policy_note(
		    p,
		    "give it a network or an asset; 'network any' holds every address that no other zone names");
	}
	for (struct asset_tree *a = p->assets; a; a = a->next) {
		if (!a->family)
			continue; /* its address was refused */
		host = (struct network_tree){
			.spot = a->address_at,
			.family = a->family,
			.prefixlen = a->family == 4 ? 32 : 128,
		};
		memcpy(host.addr, a->addr, 16);
		hold(p, &held, &host, a->zone, a);
	}
}

/* ---- conduits -------------------------------------------------------- */

static void needs_monitor(struct policy *p, const struct spot *spot,
			  const char *what)
{
	if (p->site.monitor_port || p->site.broken)
		return;
	policy_error(p, spot, "%s needs a monitor port", what);
	policy_note(p, "name it in the site: monitor-port eth3");
}

static void resolve_mode(struct policy *p, struct conduit_tree *c)
{
	if (!c->mode_at.line)
		c->mode = p->site.mode;
	else if (c->mode == MODE_mirror)
		needs_monitor(p, &c->mode_at, "'mode mirror'");
	if (!(c->flags & RULESET_asymmetric))
		return;
	/* Half of a conversation cannot be verified, so nothing may be
	 * refused for it. */
	if (c->mode_at.line && c->mode == MODE_enforce) {
		policy_error(p, &c->asymmetric_at,
			     "'asymmetric' cannot be enforced");
		policy_note(
		    p,
		    "both directions must cross the gate to be verified; say 'mode monitor'");
	}
	if (c->mode == MODE_enforce)
		c->mode = MODE_monitor;
}

static void resolve_conduits(struct policy *p)
{
	struct site_tree *site = &p->site;

	if (site->mode_at.line && site->mode == MODE_mirror)
		needs_monitor(p, &site->mode_at, "'mode mirror'");
	/* A site that is to refuse nothing refuses nothing. */
	if (!site->default_at.line && site->mode != MODE_enforce)
		site->default_mode = MODE_monitor;
	for (struct conduit_tree *c = p->conduits; c; c = c->next) {
		if (c->from.text)
			c->from_zone = find_name(p, &p->zone_names, &c->from);
		if (c->to.text)
			c->to_zone = find_name(p, &p->zone_names, &c->to);
		if (!c->from_zone || !c->to_zone)
			c->broken = true;
		resolve_mode(p, c);
		if (c->action == ACTION_mirror)
			needs_monitor(p, &c->action_at, "'on mismatch mirror'");
		if (c->action == ACTION_divert)
			needs_monitor(p, &c->action_at, "'on mismatch divert'");
	}
}

/* ---- allow: ends ----------------------------------------------------- */

static int compare_assets(const void *a, const void *b)
{
	const struct asset_tree *x = *(struct asset_tree *const *)a;
	const struct asset_tree *y = *(struct asset_tree *const *)b;

	return strcmp(x->name.text, y->name.text);
}

static struct asset_tree *resolve_asset(struct policy *p,
					const struct word *word,
					const struct zone_tree *zone,
					const char *end)
{
	struct asset_tree *asset;

	asset = table_find(&p->asset_names.table, word->text, word->spot.len);
	if (!asset &&
	    table_find(&p->zone_names.table, word->text, word->spot.len)) {
		policy_error(p, &word->spot, "'%s' is a zone, not an asset",
			     word->text);
		policy_note(
		    p,
		    "a rule of this conduit holds for the whole zone when it has no '%s'",
		    end);
		return NULL;
	}
	if (!asset)
		return find_name(p, &p->asset_names, word);
	if (!zone || asset->zone == zone)
		return asset;
	policy_error(p, &word->spot, "asset '%s' is in zone '%s', not in '%s'",
		     word->text, asset->zone->name.text, zone->name.text);
	policy_note(
	    p,
	    "it is defined at %s; 'from' and 'to' name assets of the conduit's own two zones",
	    policy_where(p, &word->spot, &asset->name.spot));
	return NULL;
}

static bool resolve_assets(struct policy *p, const struct word_list *list,
			   const struct zone_tree *zone, const char *end,
			   struct asset_tree ***ret_assets, size_t *ret_n)
{
	struct asset_tree **assets;
	const struct word *w;
	bool fine = true;
	size_t n = 0;

	for (w = list->first; w; w = w->next)
		n++;
	assets = arena_alloc(p, n * sizeof(*assets));
	n = 0;
	for (w = list->first; w; w = w->next) {
		assets[n] = resolve_asset(p, w, zone, end);
		if (!assets[n++])
			fine = false;
	}
	if (!fine)
		return false;
	qsort(assets, n, sizeof(*assets), compare_assets);
	for (size_t i = 1; i < n; i++) {
		if (assets[i] != assets[i - 1])
			continue;
		policy_error(p, &list->first->spot,
			     "asset '%s' stands twice in this list",
			     assets[i]->name.text);
		return false;
	}
	*ret_assets = n ? assets : NULL;
	*ret_n = n;
	return true;
}

static bool fits(const struct allow_tree *allow, const struct conduit_tree *c)
{
	return !c->broken &&
	       (!allow->n_from ||
		allow->from_assets[0]->zone == c->from_zone) &&
	       (!allow->n_to || allow->to_assets[0]->zone == c->to_zone);
}

/* `portcullis allow modbus write from eng-1 to plc-1`: the assets tell. */
static struct conduit_tree *guess_conduit(struct policy *p,
					  struct allow_tree *allow)
{
	struct conduit_tree *found = NULL;
	struct text text = { 0 };
	unsigned int n = 0;

	if (!resolve_assets(p, &allow->from, NULL, "from", &allow->from_assets,
			    &allow->n_from) ||
	    !resolve_assets(p, &allow->to, NULL, "to", &allow->to_assets,
			    &allow->n_to))
		return NULL;
	for (struct conduit_tree *c = p->conduits; c; c = c->next) {
		if (!fits(allow, c))
			continue;
		found = c;
		if (n++ < 8)
			text_add(p, &text, "%s%s", n > 1 ? ", " : "",
				 c->name.text);
	}
	if (n == 1)
		return found;
	policy_error(p, &allow->spot,
		     n ? "several conduits could take this rule"
		       : "no conduit joins these assets");
	if (n)
		policy_note(p, "add 'in CONDUIT' with one of: %s", text.data);
	return NULL;
}

static bool resolve_ends(struct policy *p, struct allow_tree *allow)
{
	bool from, to;

	if (!allow->conduit && allow->in.text)
		allow->conduit = find_name(p, &p->conduit_names, &allow->in);
	else if (!allow->conduit && p->command_line == allow->spot.source + 1)
		allow->conduit = guess_conduit(p, allow);
	else if (!allow->conduit) {
		policy_error(
		    p, &allow->spot,
		    "an 'allow' outside of a conduit needs 'in' and the conduit's name");
	}
	if (!allow->conduit)
		return false;
	from = resolve_assets(p, &allow->from, allow->conduit->from_zone,
			      "from", &allow->from_assets, &allow->n_from);
	to = resolve_assets(p, &allow->to, allow->conduit->to_zone, "to",
			    &allow->to_assets, &allow->n_to);
	return from && to && !allow->conduit->broken;
}

/* ---- allow: functions ------------------------------------------------ */

static void set_bit(uint64_t bits[4], unsigned int bit)
{
	bits[bit / 64] |= 1ULL << bit % 64;
}

static bool asked(const struct ask_tree *ask, const struct protocol_function *f)
{
	if (ask->number >= 0)
		return f->number == ask->number;
	if (!strcmp(ask->word.text, f->name))
		return true;
	return !ask->exact && class_find(ask->word.text) == f->class;
}

/* A rule with limits is for the protocols that have what it limits. */
static bool is_limited_out(const struct allow_tree *allow, unsigned int proto)
{
	const struct limit_tree *limit = allow->limits;

	for (; limit; limit = limit->next)
		if (limit->word->proto == allow->service->protos[proto]->id)
			return false;
	return allow->limits;
}

/* Number 0 is "no function was said" to the kernel, so it belongs to whatever
 * admits the protocol at all. */
static void admit_function(struct allow_tree *allow, unsigned int proto,
			   unsigned int number)
{
	set_bit(allow->functions[proto], number);
	set_bit(allow->functions[proto], 0);
	allow->admits[proto] = true;
}

/* Number 0 is no function of its own: a protocol that says only this one, or
 * none, has nothing to tell apart and no unit either. */
static bool tells_functions(const struct protocol *proto)
{
	return proto->n_functions > 1 ||
	       (proto->n_functions && proto->functions[0].number);
}

/* Everything that the protocols have: a number that a table does not list is
 * nothing that anybody could have wanted; nor is a tunnel, unless asked for. */
static bool admit_everything(struct allow_tree *allow, bool tunnels)
{
	for (unsigned int i = 0; i < allow->service->n_protos; i++) {
		const struct protocol *proto = allow->service->protos[i];

		if (is_limited_out(allow, i) ||
		    (allow->unit_at.line && !tells_functions(proto)))
			continue;
		admit_function(allow, i, 0);
		for (size_t f = 0; f < proto->n_functions; f++)
			if (tunnels ||
			    !protocol_is_tunnel(proto->id,
						proto->functions[f].number))
				admit_function(allow, i,
					       proto->functions[f].number);
	}
	return true;
}

static bool admit(struct allow_tree *allow, const struct ask_tree *ask)
{
	bool found = false;

	if (!ask->exact && !strcmp(ask->word.text, "any"))
		return admit_everything(allow, true);
	for (unsigned int i = 0; i < allow->service->n_protos; i++) {
		const struct protocol *proto = allow->service->protos[i];

		if (is_limited_out(allow, i))
			continue;
		for (size_t f = 0; f < proto->n_functions; f++) {
			if (!asked(ask, &proto->functions[f]))
				continue;
			admit_function(allow, i, proto->functions[f].number);
			found = true;
		}
	}
	return found;
}

static const char *protocols_of(struct policy *p, const struct service_tree *s)
{
	struct text text = { 0 };

	for (unsigned int i = 0; i < s->n_protos; i++)
		text_add(p, &text, "%s%s", i ? " or " : "", s->protos[i]->name);
	return text.data ? text.data : "";
}

static bool has_functions(const struct service_tree *s)
{
	for (unsigned int i = 0; i < s->n_protos; i++)
		if (tells_functions(s->protos[i]))
			return true;
	return false;
}

/* The classes that a service's protocols use, for want of a near word. */
static void note_classes(struct policy *p, const struct service_tree *s)
{
	bool used[CLASS_max] = { false };
	const char *words[CLASS_max + 2];
	size_t n = 0;

	for (unsigned int i = 0; i < s->n_protos; i++)
		for (size_t f = 0; f < s->protos[i]->n_functions; f++)
			used[s->protos[i]->functions[f].class % CLASS_max] =
			    true;
	for (int c = 1; c < CLASS_max; c++)
		if (used[c])
			words[n++] = class_name(c);
	words[n++] = "any";
	words[n] = NULL;
	policy_note_words(p, "", words);
	policy_note(p, "'portcullis protocols' lists the functions");
}

static void unknown_function(struct policy *p, const struct allow_tree *allow,
			     const struct ask_tree *ask)
{
	static const char *const options[] = { "from",	"to",  "unit",
					       "until", "any", NULL };
	const struct service_tree *s = allow->service;
	size_t n;
	const struct argument_word *words = argument_list(&n);
	struct guess guess;

	if (ask->number >= 0)
		policy_error(p, &ask->word.spot, "%s has no function %d",
			     protocols_of(p, s), ask->number);
	else if (ask->exact)
		policy_error(p, &ask->word.spot, "%s has no function '%s'",
			     protocols_of(p, s), ask->word.text);
	else
		policy_error(p, &ask->word.spot,
			     class_find(ask->word.text) > 0
				 ? "%s has no function of the class '%s'"
				 : "%s has no class or function '%s'",
			     protocols_of(p, s), ask->word.text);
	guess_start(&guess, ask->word.text);
	for (unsigned int i = 0; i < s->n_protos; i++)
		for (size_t f = 0; f < s->protos[i]->n_functions; f++)
			guess_offer(&guess, s->protos[i]->functions[f].name,
				    NULL);
	for (int c = 1; c < CLASS_max && !ask->exact; c++)
		if (class_find(ask->word.text) <= 0 && class_name(c))
			guess_offer(&guess, class_name(c), NULL);
	for (int i = 0; options[i] && !ask->exact; i++)
		guess_offer(&guess, options[i], NULL);
	for (size_t i = 0; i < n && !ask->exact; i++)
		guess_offer(&guess, words[i].word, NULL);
	if (ask->number >= 0 || !guess_note(p, &guess, &ask->word.spot))
		note_classes(p, s);
}

/* What else could be limited there. */
static void note_arguments(struct policy *p, const struct service_tree *s)
{
	struct text text = { 0 };
	size_t n;
	const struct argument_word *words = argument_list(&n);

	for (size_t w = 0; w < n; w++)
		for (unsigned int i = 0; i < s->n_protos; i++)
			if (words[w].proto == s->protos[i]->id)
				text_add(p, &text, "%s%s", text.len ? ", " : "",
					 words[w].word);
	if (text.len)
		policy_note(p, "expected one of: %s", text.data);
	else
		policy_note(p, "functions are all that can be told apart here");
}

/* `db 1 area db`: one lets through what the other is to keep back. */
static bool check_overlap(struct policy *p, const struct limit_tree *a,
			  const struct limit_tree *b)
{
	for (unsigned int i = 0; i < a->n; i++) {
		for (unsigned int k = 0; k < b->n; k++) {
			if (a->ranges[i].kind != b->ranges[k].kind ||
			    a->ranges[i].first > b->ranges[k].last ||
			    b->ranges[k].first > a->ranges[i].last)
				continue;
			policy_error(p, &b->spot,
				     "'%s' and '%s' let through the same",
				     a->word->word, b->word->word);
			policy_note(p, "leave the wider one out");
			return false;
		}
	}
	return true;
}

static bool resolve_limits(struct policy *p, const struct allow_tree *allow)
{
	const struct limit_tree *limit = allow->limits;
	const struct service_tree *s = allow->service;
	unsigned int i, n = 0;
	bool fine = true;

	for (; limit; limit = limit->next) {
		n += limit->n;
		for (const struct limit_tree *l = limit->next; l; l = l->next)
			fine &= check_overlap(p, limit, l);
		for (i = 0; i < s->n_protos; i++)
			if (s->protos[i]->id == limit->word->proto)
				break;
		if (i < s->n_protos)
			continue;
		policy_error(p, &limit->spot, "%s has no '%s'",
			     protocols_of(p, s), limit->word->word);
		note_arguments(p, s);
		fine = false;
	}
	if (n <= LIMIT_RANGES)
		return fine;
	policy_error(p, &allow->spot, "more than %d ranges in one rule",
		     LIMIT_RANGES);
	policy_note(p, "split it into two rules");
	return false;
}

static bool resolve_functions(struct policy *p, struct allow_tree *allow)
{
	const struct ask_tree *ask;
	bool fine = true;

	if (!resolve_limits(p, allow))
		return false;

	if (!allow->asks)
		admit_everything(allow, false);
	for (ask = allow->asks; ask; ask = ask->next) {
		if (admit(allow, ask))
			continue;
		fine = false;
		if (has_functions(allow->service)) {
			unknown_function(p, allow, ask);
			continue;
		}
		policy_error(p, &ask->word.spot,
			     "the functions of %s cannot be told apart",
			     protocols_of(p, allow->service));
		policy_note(p, "allow all of it: allow %s",
			    allow->service->name.text);
		break;
	}
	if (allow->unit_at.line && !has_functions(allow->service)) {
		policy_error(p, &allow->unit_at, "%s has no units",
			     protocols_of(p, allow->service));
		fine = false;
	}
	return fine;
}

/* ---- allow ----------------------------------------------------------- */

static void resolve_until(struct policy *p, struct allow_tree *allow)
{
	const struct policy_context *context = p->context;
	/* Who only checks a policy may not know it; 0 would be for ever. */
	uint64_t hz = context->hz ? context->hz : 1;

	if (!allow->until)
		return;
	if (allow->until <= context->now) {
		allow->expired = true;
		return;
	}
	allow->until_jiffies =
	    context->now_jiffies + (uint64_t)(allow->until - context->now) * hz;
}

static void check_same_text(struct policy *p, struct table *texts,
			    struct allow_tree *allow)
{
	struct text text = { 0 };
	const struct allow_tree *first;

	text_add(p, &text, "conduit %s: %s", allow->conduit->name.text,
		 allow_text(p, allow));
	if (allow->live_id)
		text_add(p, &text, " live %u", allow->live_id);
	allow->text = text.data;
	first = table_find(texts, text.data, text.len);
	if (!first) {
		table_add(p, texts, text.data, text.len, allow);
		return;
	}
	policy_error(p, &allow->spot, "this rule stands here already");
	policy_note(p, "first at %s",
		    policy_where(p, &allow->spot, &first->spot));
	allow->broken = true;
}

static void resolve_allows(struct policy *p)
{
	struct table texts = { 0 };

	for (struct allow_tree *a = p->allows; a; a = a->next) {
		bool ends = false;

		if (a->service_name.text)
			a->service =
			    find_name(p, &p->service_names, &a->service_name);
		if (a->broken)
			continue;
		ends = resolve_ends(p, a);
		if (!a->service || a->service->broken ||
		    !resolve_functions(p, a) || !ends) {
			a->broken = true;
			continue;
		}
		resolve_until(p, a);
		check_same_text(p, &texts, a);
	}
}

/* ---- conduits that meet ---------------------------------------------- */

/* What the rules of one service between two zones must agree on. */
struct meeting_key {
	uint16_t from;
	uint16_t to;
	uint16_t service;
};

static const char *difference(const struct conduit_tree *a,
			      const struct conduit_tree *b)
{
	if (a->mode != b->mode)
		return "mode";
	if (a->action != b->action || (a->flags ^ b->flags) & RULESET_evidence)
		return "on mismatch";
	if ((a->flags ^ b->flags) &
	    (RULESET_split_header | RULESET_split_message))
		return "split";
	if (a->flags != b->flags)
		return "asymmetric";
	return a->ceiling != b->ceiling ? "ceiling" : NULL;
}

static void check_meetings(struct policy *p)
{
	struct meeting_key *key;
	struct conduit_tree *first;
	struct table met = { 0 };
	const char *what;

	for (struct allow_tree *a = p->allows; a; a = a->next) {
		if (a->broken)
			continue;
		key = arena_alloc(p, sizeof(*key));
		*key = (struct meeting_key){ a->conduit->from_zone->id,
					     a->conduit->to_zone->id,
					     a->service->id };
		first = table_find(&met, key, sizeof(*key));
		if (!first) {
			table_add(p, &met, key, sizeof(*key), a->conduit);
			continue;
		}
		what = difference(first, a->conduit);
		if (!what)
			continue;
		policy_error(
		    p, &a->spot,
		    "'%s' is ruled by two conduits that differ in '%s'",
		    a->service->name.text, what);
		policy_note(
		    p,
		    "conduit '%s' at %s joins the same two zones; say the same in both, or put the rules in one",
		    first->name.text,
		    policy_where(p, &a->spot, &first->name.spot));
		a->broken = true;
	}
}

void policy_resolve(struct policy *p)
{
	declare_all(p);
	resolve_interfaces(p);
	resolve_services(p);
	resolve_zones(p);
	resolve_conduits(p);
	resolve_allows(p);
	check_meetings(p);
}
