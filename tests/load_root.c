/* SPDX-License-Identifier: GPL-2.0-only */
/* The verifier of the running kernel takes every program, in each variant that
 * rodata makes of it, and has not become much dearer than tests/complexity.txt
 * says (`make complexity` writes it). So with the step of each protocol alone
 * (variant `step`, tests/steps.bpf.c). Runs in the virtual machine too.
 * vm: short
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <portcullis/abi.h>
#include <portcullis.skel.h>
#include <steps.skel.h>

#include "tap.h"

/* The verifier gives up at a million. All protocols are to fit in there: of one
 * that takes more than its share bpf/README.md says how it becomes cheaper. */
enum { MOST_INSTRUCTIONS = 800000, MOST_OF_STEP = 25000 };

static const char complexity_file[] = "tests/complexity.txt";

static const char *const variants[] = { "enforce", "trace", "weak" };

static struct portcullis *open_variant(size_t variant)
{
	struct portcullis *skel = portcullis__open();

	if (!skel)
		return NULL;
	skel->rodata->tracing = variant == 1;
	skel->rodata->weak_order = variant == 2;
	return skel;
}

/* "6.1" of "6.1.0-50-amd64". */
static void kernel_series(char *ret, size_t len)
{
	struct utsname name;
	unsigned int major = 0, minor = 0;

	uname(&name);
	sscanf(name.release, "%u.%u", &major, &minor);
	snprintf(ret, len, "%u.%u", major, minor);
}

/* What was recorded, 0 if nothing was. */
static uint32_t recorded(const char *program, const char *kernel,
			 const char *variant)
{
	char line[160], want[128];
	FILE *file = fopen(complexity_file, "re");
	uint32_t count = 0;
	size_t len;

	if (!file)
		return 0;
	snprintf(want, sizeof(want), "%s %s %s ", program, kernel, variant);
	len = strlen(want);
	while (!count && fgets(line, sizeof(line), file))
		if (!strncmp(line, want, len))
			count = strtoul(line + len, NULL, 10);
	fclose(file);
	return count;
}

static void check_program(const struct bpf_program *program,
			  const char *variant, uint32_t most)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	const char *name = bpf_program__name(program);
	char kernel[32];
	uint32_t before;

	if (!check(
		!bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &len),
		"%s: no information: %s", name, strerror(errno)))
		return;
	kernel_series(kernel, sizeof(kernel));
	before = recorded(name, kernel, variant);
	printf("complexity: %s %s %s %" PRIu32 "\n", name, kernel, variant,
	       info.verified_insns);
	check(info.verified_insns <= most,
	      "%s: %" PRIu32 " instructions verified, %" PRIu32 " may be", name,
	      info.verified_insns, most);
	check(!before || info.verified_insns <= before + before / 4,
	      "%s: %" PRIu32 " instructions verified, %" PRIu32 " recorded: "
	      "if that is meant, run make complexity",
	      name, info.verified_insns, before);
}

static void check_variant(size_t variant)
{
	struct portcullis *skel = open_variant(variant);
	struct bpf_program *program;
	int err;

	if (!check(skel, "cannot open the object: %s", strerror(errno)))
		return;
	err = portcullis__load(skel);
	if (check(!err, "variant %s does not load: %s", variants[variant],
		  strerror(-err)))
		bpf_object__for_each_program (program, skel->obj)
			check_program(program, variants[variant],
				      MOST_INSTRUCTIONS);
	portcullis__destroy(skel);
}

static void check_steps(void)
{
	struct steps *skel = steps__open();
	struct bpf_program *program;
	int err;

	if (!check(skel, "cannot open the steps: %s", strerror(errno)))
		return;
	err = steps__load(skel);
	if (check(!err, "the steps do not load: %s", strerror(-err)))
		bpf_object__for_each_program (program, skel->obj)
			check_program(program, "step", MOST_OF_STEP);
	steps__destroy(skel);
}

int main(void)
{
	size_t i;

	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	for (i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		check_variant(i);
	check_steps();
	return tap_summary();
}
