/* SPDX-License-Identifier: GPL-2.0-only */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "control.h"
#include "files.h"
#include "gate.h"
#include "log.h"
#include "policy.h"
#include "sources.h"

enum { SENTENCE = 512, EXPIRE_AGAIN = 60 };

struct gate_carried {
	char *conduit;
	struct portcullis_rule_count count;
};

/* For a look at the policy without a kernel: times only have to be there. */
static const struct policy_context any_time = { .now = 0,
						.now_jiffies = 1,
						.hz = 1000 };

int gate_check(const char *policy_path, FILE *errors, struct image **ret_image)
{
	struct policy_context context = any_time;
	struct image *image = NULL;
	struct sources sources;
	int err;

	err = sources_read(&sources, policy_path, policy_path, NULL, 0, NULL,
			   errors);
	if (err)
		return err;
	context.now = time(NULL);
	err = policy_compile(sources.list, sources.n, &context, errors, &image);
	sources_free(&sources);
	if (!err && ret_image)
		*ret_image = image;
	else if (!err)
		image_free(image);
	return err;
}

static struct policy_context context_now(struct gate *gate)
{
	return (struct policy_context){
		.now = time(NULL),
		.now_jiffies = datapath_jiffies(gate->dp),
		.hz = datapath_hz(gate->dp),
	};
}

/* ---- counts of rules that go ----------------------------------------- */

static int by_text(const void *left, const void *right)
{
	const struct image_rule *a = *(const struct image_rule *const *)left;
	const struct image_rule *b = *(const struct image_rule *const *)right;

	return strcmp(a->text, b->text);
}

static const struct image_rule **sorted_rules(const struct image *image)
{
	const struct image_rule **rules;
	size_t i;

	rules = calloc(image->n_rules + 1, sizeof(*rules));
	if (!rules)
		return NULL;
	for (i = 0; i < image->n_rules; i++)
		rules[i] = &image->rules[i];
	qsort(rules, image->n_rules, sizeof(*rules), by_text);
	return rules;
}

static struct portcullis_rule_count *carried(struct gate *gate,
					     const char *conduit)
{
	struct gate_carried *more;
	size_t i;

	for (i = 0; i < gate->n_carried; i++) {
		if (!strcmp(gate->carried[i].conduit, conduit))
			return &gate->carried[i].count;
	}
	more = reallocarray(gate->carried, gate->n_carried + 1, sizeof(*more));
	if (!more)
		return NULL;
	gate->carried = more;
	more[i] = (struct gate_carried){ .conduit = strdup(conduit) };
	if (!more[i].conduit)
		return NULL;
	gate->n_carried++;
	return &more[i].count;
}

static struct portcullis_rule_count *rule_counts(struct gate *gate)
{
	struct portcullis_rule_count *counts;
	size_t i, n = gate->image ? gate->image->n_rules : 0;

	counts = calloc(n + 1, sizeof(*counts));
	for (i = 0; counts && i < n; i++)
		datapath_rule_count(gate->dp, i, &counts[i]);
	return counts;
}

/* A conduit's counter must not fall when one of its rules goes. */
static void carry_counts(struct gate *gate, const struct image *next,
			 const struct portcullis_rule_count *counts)
{
	const struct image_rule **rules = sorted_rules(next);
	const struct image_rule *rule;
	struct portcullis_rule_count *sum;
	size_t i;

	for (i = 0; rules && counts && i < gate->image->n_rules; i++) {
		rule = &gate->image->rules[i];
		if (bsearch(&rule, rules, next->n_rules, sizeof(*rules),
			    by_text))
			continue;
		sum = carried(gate, gate->image->conduits[rule->conduit].name);
		if (!sum)
			continue;
		sum->packets += counts[i].packets;
		sum->bytes += counts[i].bytes;
	}
	free(rules);
}

/* ---- applying -------------------------------------------------------- */

static void take_image(struct gate *gate, struct image *image)
{
	image_free(gate->before);
	gate->before = gate->image;
	gate->before_generation = gate->generation;
	gate->image = image;
	gate->generation = datapath_generation(gate->dp);
}

static int put_in_force(struct gate *gate, struct image *image, FILE *errors)
{
	_cleanup_free_ struct portcullis_rule_count *counts = rule_counts(gate);
	char sentence[SENTENCE] = "";
	int err;

	err = datapath_apply(gate->dp, image, sentence, sizeof(sentence));
	if (err) {
		fprintf(errors, "portcullis: %s\n",
			*sentence ? sentence : strerror(-err));
		image_free(image);
		return err == -EPERM || err == -EACCES ? EXIT_not_permitted
						       : EXIT_failed;
	}
	if (gate->image)
		carry_counts(gate, image, counts);
	take_image(gate, image);
	return EXIT_done;
}

/* Compiles the text with the live changes and puts it in force. */
static int apply_both(struct gate *gate, const char *name, const char *text,
		      size_t len, const struct live *live, FILE *errors)
{
	struct policy_context context = context_now(gate);
	struct image *image = NULL;
	struct sources sources;
	int err;

	err = sources_read(&sources, gate->policy_path, name, text, len, live,
			   errors);
	if (err)
		return EXIT_failed;
	err = policy_compile(sources.list, sources.n, &context, errors, &image);
	sources_free(&sources);
	if (err == -EINVAL)
		return EXIT_policy;
	if (err) {
		fprintf(errors, "portcullis: %s: %s\n", name, strerror(-err));
		return EXIT_failed;
	}
	return put_in_force(gate, image, errors);
}

int gate_apply(struct gate *gate, const char *name, const char *text,
	       size_t len, FILE *errors)
{
	char *own_name = strdup(name);
	char *own_text = malloc(len + 1);
	int code = EXIT_failed;

	if (own_name && own_text) {
		memcpy(own_text, text, len);
		own_text[len] = '\0';
		code = apply_both(gate, own_name, own_text, len, &gate->live,
				  errors);
	} else {
		fprintf(errors, "portcullis: not enough memory\n");
	}
	gate->applied = time(NULL);
	gate->applied_well = code == EXIT_done;
	if (code != EXIT_done) {
		free(own_name);
		free(own_text);
		return code;
	}
	free(gate->name);
	free(gate->text);
	gate->name = own_name;
	gate->text = own_text;
	gate->len = len;
	return EXIT_done;
}

int gate_reload(struct gate *gate, FILE *errors)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int err;

	err = files_read(gate->policy_path, SOURCES_MOST, &text, &len);
	if (err) {
		fprintf(errors, "portcullis: cannot read %s: %s\n",
			gate->policy_path, strerror(-err));
		gate->applied = time(NULL);
		gate->applied_well = false;
		return EXIT_failed;
	}
	return gate_apply(gate, gate->policy_path, text, len, errors);
}

/* ---- live changes ---------------------------------------------------- */

static int live_copy(const struct live *live, struct live *ret_copy)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	text = live_text(live, &len);
	return text ? live_parse(text, len, ret_copy) : -ENOMEM;
}

/* Puts `next` in force and on disk, or neither. Takes `next` over. */
static int change_live(struct gate *gate, struct live *next, FILE *errors)
{
	int code, err;

	code =
	    apply_both(gate, gate->name, gate->text, gate->len, next, errors);
	if (code != EXIT_done) {
		live_free(next);
		return code;
	}
	err = live_write(gate->live_path, next);
	if (err) {
		fprintf(
		    errors,
		    "portcullis: cannot write %s: %s: nothing was changed\n",
		    gate->live_path, strerror(-err));
		live_free(next);
		apply_both(gate, gate->name, gate->text, gate->len, &gate->live,
			   errors);
		return EXIT_failed;
	}
	live_free(&gate->live);
	gate->live = *next;
	return EXIT_done;
}

int gate_allow(struct gate *gate, int argc, char *const argv[], const char *who,
	       time_t until, const char *why, unsigned int *ret_id,
	       FILE *errors)
{
	struct policy_context context = context_now(gate);
	_cleanup_free_ char *line = NULL;
	unsigned int id = gate->live.next_id;
	struct sources sources;
	struct live next;
	int err, code;

	err = sources_read(&sources, gate->policy_path, gate->name, gate->text,
			   gate->len, &gate->live, errors);
	if (err)
		return EXIT_failed;
	err = policy_live_allow(sources.list, sources.n, &context, argc, argv,
				id, who, until, why, errors, &line);
	sources_free(&sources);
	if (err)
		return err == -EINVAL ? EXIT_policy : EXIT_failed;
	if (live_copy(&gate->live, &next) || live_add(&next, line)) {
		fprintf(errors, "portcullis: not enough memory\n");
		return EXIT_failed;
	}
	code = change_live(gate, &next, errors);
	if (code == EXIT_done)
		*ret_id = id;
	return code;
}

int gate_revoke(struct gate *gate, unsigned int id, FILE *errors)
{
	struct live next;

	if (!live_find(&gate->live, id)) {
		fprintf(
		    errors,
		    "portcullis: there is no live change %u: see portcullis show live\n",
		    id);
		return EXIT_failed;
	}
	if (live_copy(&gate->live, &next) || live_remove(&next, id)) {
		fprintf(errors, "portcullis: not enough memory\n");
		return EXIT_failed;
	}
	return change_live(gate, &next, errors);
}

void gate_expire(struct gate *gate)
{
	time_t now = time(NULL);
	struct live next;
	size_t n;

	if (now < gate->expire_again || live_copy(&gate->live, &next))
		return;
	n = live_expire(&next, now);
	if (!n) {
		live_free(&next);
		return;
	}
	/* The kernel has refused them since their time; this tidies up. */
	if (change_live(gate, &next, stderr) == EXIT_done)
		log_info("%zu live changes have run out", n);
	else
		gate->expire_again = now + EXPIRE_AGAIN;
}

/* ---- start and stop -------------------------------------------------- */

static int read_live(struct gate *gate, FILE *errors)
{
	int err;

	gate->live_path = sources_live_path(gate->policy_path);
	if (!gate->live_path)
		err = -ENOMEM;
	else
		err = live_read(gate->live_path, &gate->live);
	if (err) {
		fprintf(errors,
			"portcullis: cannot read the live changes in %s: %s\n",
			gate->live_path ? gate->live_path : "policy.d",
			strerror(-err));
		return EXIT_failed;
	}
	if (live_expire(&gate->live, time(NULL)) &&
	    live_write(gate->live_path, &gate->live))
		log_warnx("cannot write %s: changes that ran out stay in it",
			  gate->live_path);
	return EXIT_done;
}

int gate_open(struct gate *gate, const struct datapath_options *options,
	      const char *policy_path, FILE *errors)
{
	char sentence[SENTENCE] = "";
	int code;

	*gate = (struct gate){ .options = *options,
			       .policy_path = policy_path,
			       .started = time(NULL) };
	code = read_live(gate, errors);
	if (code != EXIT_done) {
		gate_close(gate);
		return code;
	}
	errno = 0;
	gate->dp =
	    datapath_open(options, &gate->adopted, sentence, sizeof(sentence));
	if (!gate->dp) {
		code = errno == EPERM || errno == EACCES ? EXIT_not_permitted
							 : EXIT_failed;
		fprintf(errors, "portcullis: %s\n", sentence);
		gate_close(gate);
		return code;
	}
	code = gate_reload(gate, errors);
	if (code == EXIT_done)
		return code;
	gate_close(gate);
	if (!gate->adopted)
		datapath_detach(options, sentence, sizeof(sentence));
	return code;
}

void gate_close(struct gate *gate)
{
	size_t i;

	if (gate->dp)
		datapath_close(gate->dp);
	gate->dp = NULL;
	image_free(gate->image);
	image_free(gate->before);
	live_free(&gate->live);
	for (i = 0; i < gate->n_carried; i++)
		free(gate->carried[i].conduit);
	free(gate->carried);
	free(gate->live_path);
	free(gate->name);
	free(gate->text);
	gate->image = gate->before = NULL;
	gate->carried = NULL;
	gate->n_carried = 0;
	gate->live_path = gate->name = gate->text = NULL;
}

bool gate_is_pinned(const char *pin_dir)
{
	_cleanup_free_ char *path = NULL;
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	path = pin_dir
		   ? strdup(pin_dir)
		   : files_name("/sys/fs/bpf/portcullis/v%u", PORTCULLIS_ABI);
	dir = path ? opendir(path) : NULL;
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir)) != NULL)
		found = entry->d_name[0] != '.';
	closedir(dir);
	return found;
}

/* ---- looking --------------------------------------------------------- */

const struct image *gate_image(const struct gate *gate, uint32_t generation)
{
	if (gate->image && generation == gate->generation)
		return gate->image;
	if (gate->before && generation == gate->before_generation)
		return gate->before;
	return NULL;
}

static void count_flow(uint32_t index, const struct portcullis_slot *slot,
		       void *arg)
{
	uint64_t *flows = arg;

	(void)index;
	if (slot->state < SNAPSHOT_STATES)
		flows[slot->state]++;
}

/* Walking the table is dear: at most once a second. */
static void count_flows(struct gate *gate)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (gate->flows_counted == now.tv_sec)
		return;
	memset(gate->flows, 0, sizeof(gate->flows));
	datapath_flows(gate->dp, count_flow, gate->flows);
	gate->flows_counted = now.tv_sec;
}

static struct portcullis_rule_count *
conduit_counts(struct gate *gate, const struct portcullis_rule_count *rules)
{
	const struct image *image = gate->image;
	struct portcullis_rule_count *sums;
	size_t i, k, n = image ? image->n_conduits : 1;

	sums = calloc(n, sizeof(*sums));
	for (i = 0; sums && image && i < image->n_rules; i++) {
		sums[image->rules[i].conduit].packets += rules[i].packets;
		sums[image->rules[i].conduit].bytes += rules[i].bytes;
	}
	for (i = 0; sums && image && i < gate->n_carried; i++) {
		for (k = 1; k < n; k++) {
			if (strcmp(image->conduits[k].name,
				   gate->carried[i].conduit))
				continue;
			sums[k].packets += gate->carried[i].count.packets;
			sums[k].bytes += gate->carried[i].count.bytes;
		}
	}
	return sums;
}

int gate_snapshot(struct gate *gate, struct snapshot *snapshot)
{
	int err;

	*snapshot = (struct snapshot){
		.now = time(NULL),
		.started = gate->started,
		.applied = gate->applied,
		.applied_well = gate->applied_well,
		.adopted = gate->adopted,
		.pid = getpid(),
		.policy_name = gate->name ? gate->name : gate->policy_path,
		.image = gate->image,
		.generation = gate->generation,
		.n_live = live_count(&gate->live),
		.slots = datapath_slots(gate->dp),
	};
	snapshot->violations =
	    calloc(CONDUITS_MAX, sizeof(snapshot->violations[0]));
	snapshot->rules = rule_counts(gate);
	if (snapshot->rules)
		snapshot->conduits = conduit_counts(gate, snapshot->rules);
	if (!snapshot->violations || !snapshot->conduits) {
		gate_snapshot_free(snapshot);
		return -ENOMEM;
	}
	err = datapath_counts(gate->dp, &snapshot->counts);
	if (!err)
		err = datapath_violations(gate->dp, snapshot->violations);
	if (err) {
		gate_snapshot_free(snapshot);
		return err;
	}
	count_flows(gate);
	memcpy(snapshot->flows, gate->flows, sizeof(gate->flows));
	snapshot->ports = datapath_ports(gate->dp, &snapshot->n_ports);
	return 0;
}

void gate_snapshot_free(struct snapshot *snapshot)
{
	free(snapshot->violations);
	free(snapshot->rules);
	free(snapshot->conduits);
	snapshot->violations = NULL;
	snapshot->rules = snapshot->conduits = NULL;
}
