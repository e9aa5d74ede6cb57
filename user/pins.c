/* SPDX-License-Identifier: GPL-2.0-only */
/* The only file that knows the skeleton: loads the object, pins what it made,
 * opens what is pinned.
 */
#include "pins.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "jiffies.h"
#include "portcullis.skel.h"

#define BPFFS "/sys/fs/bpf"

/* Conversations in a gate that nobody sized, and the widest choice. */
enum { SLOTS_DEFAULT = 131072, SLOTS_LEAST = 1024, SLOTS_MOST = 1 << 22 };

/* UDP answers are due within these seconds; events per second and conduit. */
enum { REPLY_SECONDS = 5, EVENT_RATE = 200 };

static const struct {
	const char *name;
	uint32_t value_size; /* 0: not looked at */
} maps[PIN_max] = {
#define MAP(name, value_size) [PIN_##name] = { #name, value_size },
	PIN_MAPS(MAP)
#undef MAP
};

/* ---- words ------------------------------------------------------------ */

int say(char *error, size_t error_len, int err, const char *format, ...)
{
	va_list args;

	if (error_len) {
		va_start(args, format);
		vsnprintf(error, error_len, format, args);
		va_end(args);
	}
	return err;
}

/* The first complaint of libbpf, for the case where errno says little. */
static _Thread_local char complaint[160];

static int keep_complaint(enum libbpf_print_level level, const char *format,
			  va_list args)
{
	char line[sizeof(complaint)];

	if (level != LIBBPF_WARN || complaint[0])
		return 0;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	memcpy(complaint, line, sizeof(complaint));
	return 0;
}

const char *pin_path(const struct datapath *dp, const char *name, char *path)
{
	snprintf(path, PIN_PATH, "%s/%.40s", dp->pin_dir, name);
	return path;
}

/* ---- the file system of pins ------------------------------------------ */

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == BPF_FS_MAGIC;
}

static int mount_bpffs(bool *ret_mounted, char *error, size_t error_len)
{
	*ret_mounted = false;
	if (is_bpffs(BPFFS))
		return 0;
	if (!mount("bpffs", BPFFS, "bpf", 0, "mode=0700")) {
		*ret_mounted = true;
		return 0;
	}
	return say(
	    error, error_len, -errno,
	    "no bpffs on " BPFFS
	    " and none can be mounted (%s): mount it (mount -t bpf bpffs " BPFFS
	    ")",
	    strerror(errno));
}

/* As mkdir -p. */
static int make_dirs(const char *path, char *error, size_t error_len)
{
	char part[PIN_PATH];
	char *slash = part;

	snprintf(part, sizeof(part), "%s", path);
	do {
		slash = strchr(slash + 1, '/');
		if (slash)
			*slash = '\0';
		if (mkdir(part, 0700) && errno != EEXIST)
			return say(
			    error, error_len, -errno, "cannot make %s: %s%s",
			    part, strerror(errno),
			    errno == EACCES
				? ": be root, or let root give this user the folder above it"
				: "");
		if (slash)
			*slash = '/';
	} while (slash);
	return 0;
}

static void remove_dir(const char *dir)
{
	char path[PIN_PATH + 256];
	struct dirent *entry;
	DIR *d = opendir(dir);

	if (!d)
		return;
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		unlink(path);
	}
	closedir(d);
	rmdir(dir);
}

/* And the folders above it that nobody else uses. */
static void remove_pins(const char *pin_dir)
{
	char dir[208], *slash;

	snprintf(dir, sizeof(dir), "%s-new", pin_dir);
	remove_dir(dir);
	remove_dir(pin_dir);
	snprintf(dir, sizeof(dir), "%s", pin_dir);
	while ((slash = strrchr(dir, '/')) && strcmp(dir, BPFFS)) {
		*slash = '\0';
		if (!strcmp(dir, BPFFS) || rmdir(dir))
			break;
	}
}

void pins_remove(const struct datapath *dp)
{
	remove_pins(dp->pin_dir);
}

/* ---- load -------------------------------------------------------------- */

static uint32_t power_of_two(uint32_t least)
{
	uint32_t n = 1;

	while (n < least)
		n *= 2;
	return n;
}

/* On these, stores are seen in the order in which they were made. */
static bool orders_stores(void)
{
	struct utsname u;

	return !uname(&u) &&
	       (!strcmp(u.machine, "x86_64") || !strcmp(u.machine, "i686"));
}

static int set_sizes(struct portcullis *skel, uint32_t slots)
{
	slots = slots ?: SLOTS_DEFAULT;
	if (slots < SLOTS_LEAST)
		slots = SLOTS_LEAST;
	if (slots > SLOTS_MOST)
		slots = SLOTS_MOST;
	slots = power_of_two(slots);
	skel->rodata->set_count = slots / SET_WAYS;
	skel->rodata->hint_most = slots - 1;
	skel->rodata->weak_order = !orders_stores();
	return bpf_map__set_max_entries(skel->maps.slots, slots) ?:
	       bpf_map__set_max_entries(skel->maps.sets, slots / SET_WAYS) ?:
	       bpf_map__set_max_entries(skel->maps.hints, slots);
}

static int fill_random(void *to, size_t len)
{
	char *at = to;
	ssize_t got;

	for (; len; at += got, len -= got) {
		got = getrandom(at, len, 0);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got < 0)
			got = 0;
	}
	return 0;
}

int pins_long_way(const struct bpf_map *way, const struct bpf_program *prog)
{
	int fd = bpf_program__fd(prog);
	__u32 zero = 0;

	return bpf_map_update_elem(bpf_map__fd(way), &zero, &fd, 0) ? -errno
								    : 0;
}

/* What stands in the gate before there is a policy: generation 0. */
static int fill_constants(const struct portcullis *skel)
{
	struct portcullis_gate *gate = &skel->data_gate->gate;

	gate->hz = jiffies_per_second();
	gate->event_rate = EVENT_RATE;
	gate->annexes = ANNEXES;
	gate->hint_mask = HINTS_LEAST - 1;
	gate->reply_jiffies = REPLY_SECONDS * gate->hz;
	return fill_random(gate->sip_key, sizeof(gate->sip_key))
		   ?: fill_random(gate->hash_key, sizeof(gate->hash_key));
}

/* Sections have names of their own; those that hold what programs know when
 * they are loaded need no pin. NULL: such a one. */
static const char *pin_name(const struct bpf_map *map)
{
	if (!bpf_map__is_internal(map))
		return bpf_map__name(map);
	return strcmp(bpf_map__name(map), ".data.gate") ? NULL : "data_gate";
}

static int pin_in(const char *dir, const char *name, int fd)
{
	char path[PIN_PATH];

	snprintf(path, sizeof(path), "%.207s/%.40s", dir, name);
	return bpf_obj_pin(fd, path) ? -errno : 0;
}

static int pin_own(const char *dir)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "loader", sizeof(__u32),
				sizeof(struct own), 1, &opts);
	int err;

	if (fd < 0)
		return fd;
	err = pin_in(dir, "loader", fd);
	close(fd);
	return err;
}

static int pin_all(const struct portcullis *skel, const char *dir)
{
	const struct bpf_map *map;
	int err;

	bpf_object__for_each_map (map, skel->obj) {
		if (!pin_name(map))
			continue;
		err = pin_in(dir, pin_name(map), bpf_map__fd(map));
		if (err)
			return err;
	}
	return pin_in(dir, "prog_xdp",
		      bpf_program__fd(skel->progs.portcullis_xdp)) ?:
	       pin_in(dir, "prog_copy",
		      bpf_program__fd(skel->progs.portcullis_copy)) ?:
	       pin_own(dir);
}

/* The verifier takes its time with each program: the one for tc is loaded only
 * when an interface needs it. */
static int load_object(struct portcullis *skel, char *error, size_t error_len)
{
	int err;

	complaint[0] = '\0';
	err = portcullis__load(skel);
	if (!err)
		return 0;
	return say(error, error_len, err,
		   "the kernel does not take the program: %s%s%s",
		   strerror(-err), complaint[0] ? ": " : "", complaint);
}

static int load_first(struct portcullis *skel, uint32_t slots, char *error,
		      size_t error_len)
{
	int err = set_sizes(skel, slots);

	bpf_program__set_autoload(skel->progs.portcullis_tc, false);
	bpf_program__set_autoload(skel->progs.portcullis_long_tc, false);
	if (err)
		return say(error, error_len, err, "cannot size the maps: %s",
			   strerror(-err));
	err = load_object(skel, error, error_len);
	if (err)
		return err;
	err =
	    pins_long_way(skel->maps.long_xdp, skel->progs.portcullis_long_xdp)
		?: fill_constants(skel);
	if (err)
		say(error, error_len, err, "cannot fill the maps: %s",
		    strerror(-err));
	return err;
}

/* Everything is pinned in a folder beside its place and then moved there as a
 * whole: a loader that dies leaves nothing that could be adopted by halves. */
static int load_and_pin(struct datapath *dp, char *error, size_t error_len)
{
	struct portcullis *skel;
	char dir[208];
	int err;

	snprintf(dir, sizeof(dir), "%s-new", dp->pin_dir);
	remove_dir(dir);
	err = make_dirs(dir, error, error_len);
	if (err)
		return err;
	if (!is_bpffs(dir)) {
		rmdir(dir);
		return say(
		    error, error_len, -EINVAL,
		    "%s is not on a bpffs: pins can only stand below " BPFFS,
		    dp->pin_dir);
	}
	skel = portcullis__open();
	if (!skel)
		return say(error, error_len, -errno,
			   "cannot open the kernel program: %s",
			   strerror(errno));
	err = load_first(skel, dp->options.slots, error, error_len);
	if (!err) {
		err = pin_all(skel, dir);
		if (!err && rename(dir, dp->pin_dir))
			err = -errno;
		if (err)
			say(error, error_len, err, "cannot pin in %s: %s", dir,
			    strerror(-err));
	}
	portcullis__destroy(skel);
	return err;
}

/* ---- adopt ------------------------------------------------------------- */

static int open_pin(const struct datapath *dp, const char *name, char *error,
		    size_t error_len)
{
	char path[PIN_PATH];
	int fd = bpf_obj_get(pin_path(dp, name, path));

	if (fd >= 0)
		return fd;
	return say(
	    error, error_len, -errno,
	    "cannot adopt the pin %s: %s: run `portcullis detach`, then start again",
	    path, strerror(errno));
}

static int open_map(const struct datapath *dp, const char *name,
		    uint32_t value_size, struct bpf_map_info *ret_info,
		    char *error, size_t error_len)
{
	uint32_t len = sizeof(*ret_info);
	int fd = open_pin(dp, name, error, error_len);

	if (fd < 0)
		return fd;
	memset(ret_info, 0, len);
	if (!bpf_obj_get_info_by_fd(fd, ret_info, &len) &&
	    (!value_size || ret_info->value_size == value_size))
		return fd;
	close(fd);
	return say(
	    error, error_len, -EUCLEAN,
	    "%s/%s was made by another version: run `portcullis detach`, then start again",
	    dp->pin_dir, name);
}

/* The one row of an array as memory. */
static void *map_row(int fd, size_t size)
{
	void *row = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return row == MAP_FAILED ? NULL : row;
}

static int open_own(struct datapath *dp, char *error, size_t error_len)
{
	_cleanup_close_ int fd = -1;
	struct bpf_map_info info;

	fd =
	    open_map(dp, "loader", sizeof(struct own), &info, error, error_len);
	if (fd < 0)
		return fd;
	dp->own = map_row(fd, sizeof(*dp->own));
	dp->gate = map_row(dp->map[PIN_data_gate], sizeof(*dp->gate));
	if (dp->own && dp->gate)
		return 0;
	return say(error, error_len, -errno, "cannot map the pins of %s: %s",
		   dp->pin_dir, strerror(errno));
}

static int adopt(struct datapath *dp, char *error, size_t error_len)
{
	struct bpf_map_info info;
	char path[PIN_PATH];
	int i;

	for (i = 0; i < PIN_max; i++) {
		dp->map[i] = open_map(dp, maps[i].name, maps[i].value_size,
				      &info, error, error_len);
		if (dp->map[i] < 0)
			return dp->map[i];
		if (i == PIN_slots)
			dp->n_slots = info.max_entries;
	}
	dp->prog_xdp = open_pin(dp, "prog_xdp", error, error_len);
	if (dp->prog_xdp < 0)
		return dp->prog_xdp;
	dp->prog_tc = bpf_obj_get(pin_path(dp, "prog_tc", path));
	dp->prog_copy = open_pin(dp, "prog_copy", error, error_len);
	if (dp->prog_copy < 0)
		return dp->prog_copy;
	return open_own(dp, error, error_len);
}

/* ---- the program for tc ------------------------------------------------ */

/* Its maps are those that are pinned. */
static int reuse_maps(const struct datapath *dp, const struct portcullis *skel,
		      char *error, size_t error_len)
{
	struct bpf_map *map;
	int err, fd;

	bpf_object__for_each_map (map, skel->obj) {
		if (!pin_name(map))
			continue;
		fd = open_pin(dp, pin_name(map), error, error_len);
		if (fd < 0)
			return fd;
		err = bpf_map__reuse_fd(map, fd);
		close(fd);
		if (err)
			return say(error, error_len, err,
				   "cannot use the pin of %s: %s",
				   pin_name(map), strerror(-err));
	}
	return 0;
}

static int load_tc(struct datapath *dp, struct portcullis *skel, char *error,
		   size_t error_len)
{
	char path[PIN_PATH];
	int fd, err = set_sizes(skel, dp->n_slots);

	bpf_program__set_autoload(skel->progs.portcullis_xdp, false);
	bpf_program__set_autoload(skel->progs.portcullis_long_xdp, false);
	bpf_program__set_autoload(skel->progs.portcullis_copy, false);
	if (!err)
		err = reuse_maps(dp, skel, error, error_len);
	if (!err)
		err = load_object(skel, error, error_len);
	if (err)
		return err;
	err = pins_long_way(skel->maps.long_tc, skel->progs.portcullis_long_tc);
	if (err)
		return say(error, error_len, err, "cannot fill %s: %s",
			   bpf_map__name(skel->maps.long_tc), strerror(-err));
	fd = bpf_program__fd(skel->progs.portcullis_tc);
	if (bpf_obj_pin(fd, pin_path(dp, "prog_tc", path)))
		return say(error, error_len, -errno, "cannot pin %s: %s", path,
			   strerror(errno));
	dp->prog_tc = bpf_obj_get(path);
	return dp->prog_tc < 0 ? -errno : 0;
}

int pins_need_tc(struct datapath *dp, char *error, size_t error_len)
{
	struct portcullis *skel;
	int err;

	if (dp->prog_tc >= 0)
		return 0;
	skel = portcullis__open();
	if (!skel)
		return say(error, error_len, -errno,
			   "cannot open the kernel program: %s",
			   strerror(errno));
	err = load_tc(dp, skel, error, error_len);
	portcullis__destroy(skel);
	return err;
}

/* ---- both -------------------------------------------------------------- */

static bool exists(const char *path)
{
	struct stat st;

	return !stat(path, &st);
}

int pins_open(struct datapath *dp, bool *ret_adopted, char *error,
	      size_t error_len)
{
	bool mounted, there;
	int err;

	libbpf_set_print(keep_complaint);
	err = mount_bpffs(&mounted, error, error_len);
	if (err)
		return err;
	there = exists(dp->pin_dir);
	if (!there)
		err = load_and_pin(dp, error, error_len);
	if (!err)
		err = adopt(dp, error, error_len);
	if (err && !there)
		remove_pins(dp->pin_dir);
	if (err && mounted)
		umount(BPFFS);
	if (!err)
		*ret_adopted = there;
	return err;
}

bool pins_exist(const struct datapath *dp)
{
	return is_bpffs(BPFFS) && exists(dp->pin_dir);
}

void pins_close(struct datapath *dp)
{
	int i;

	for (i = 0; i < PIN_max; i++)
		if (dp->map[i] >= 0)
			close(dp->map[i]);
	if (dp->prog_xdp >= 0)
		close(dp->prog_xdp);
	if (dp->prog_tc >= 0)
		close(dp->prog_tc);
	if (dp->prog_copy >= 0)
		close(dp->prog_copy);
	if (dp->own)
		munmap(dp->own, sizeof(*dp->own));
	if (dp->gate)
		munmap(dp->gate, sizeof(*dp->gate));
}
