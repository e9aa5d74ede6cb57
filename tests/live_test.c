/* SPDX-License-Identifier: GPL-2.0-only */
/* The file of live changes: read, changed, written, and read again. Files and
 * times of day stand here too: nothing else uses them as much.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "duration.h"
#include "files.h"
#include "live.h"
#include "sources.h"
#include "tap.h"

static const char text[] =
    "# a line of a human\n"
    "\n"
    "allow modbus write from hmi-1 to plc-1 in line live 3  # id=3 by=\"root\" at=2026-11-24T04:20:00Z until=2026-11-24T06:20:00Z why=\"CHG-77 \\\"twice\\\" # until=1\"\n"
    "allow dns until \"2026-11-25T00:00:00Z\" in line live 5\n"
    "allow iso \"a # b\" in line  # id=4 by=ops at=2026-11-24T04:21:00Z why=\"\"\n"
    "# next=9\n";

static const time_t until3 = 1795501200; /* 2026-11-24T06:20:00Z */

static void test_parse(void)
{
	const struct live_change *change;
	struct live live;

	check(!live_parse(text, strlen(text), &live), "parses");
	check(live.next_id == 9, "next id %u", live.next_id);
	check(live_count(&live) == 3, "%zu changes", live_count(&live));
	change = live_find(&live, 3);
	if (check(change, "change 3 is there")) {
		check(
		    !strcmp(
			change->statement,
			"allow modbus write from hmi-1 to plc-1 in line live 3"),
		    "statement: %s", change->statement);
		check(change->until == until3, "until %ld",
		      (long)change->until);
		check(change->by && !strcmp(change->by, "root"), "by");
		check(change->why &&
			  !strcmp(change->why, "CHG-77 \"twice\" # until=1"),
		      "why: %s", change->why);
	}
	change = live_find(&live, 5);
	check(change && change->until == 1795564800,
	      "a time in the statement counts");
	change = live_find(&live, 4);
	check(change && !change->until, "no time is for ever");
	check(change &&
		  !strcmp(change->statement, "allow iso \"a # b\" in line"),
	      "a quoted # is no remark");
	check(!live_find(&live, 0), "0 finds nothing");
	live_free(&live);
}

static void test_change(void)
{
	struct live live, again;
	_cleanup_free_ char *out = NULL;
	_cleanup_free_ char *second = NULL;
	size_t len, second_len;

	check(!live_parse(text, strlen(text), &live), "parses");
	check(live_remove(&live, 77) == -ENOENT, "an unknown id");
	check(live_remove(&live, 0) == -ENOENT, "0 is no id");
	check(live_expire(&live, until3 - 1) == 0, "a second before its time");
	check(live_expire(&live, until3) == 1, "at its time");
	check(!live_find(&live, 3) && live_count(&live) == 2, "is gone");
	check(!live_add(&live, "allow ssh in line  # id=9 by=root\n"), "add");
	check(live.next_id == 10, "its id is used up: %u", live.next_id);
	check(!live_remove(&live, 9) && live.next_id == 10,
	      "a removed id is not given again");
	out = live_text(&live, &len);
	check(out && strstr(out, "# a line of a human\n"),
	      "a line that is not understood stays");
	check(out && strstr(out, "# next=10\n"), "the next id stands there");
	if (out && !live_parse(out, len, &again)) {
		second = live_text(&again, &second_len);
		check(second && second_len == len && !strcmp(second, out),
		      "written and read it is the same");
		live_free(&again);
	}
	live_free(&live);
}

static void test_files(const char *folder)
{
	_cleanup_free_ char *policy = files_name("%s/a/policy", folder);
	_cleanup_free_ char *path = sources_live_path(policy);
	_cleanup_free_ char *parent = files_folder(policy);
	_cleanup_free_ char *expected =
	    files_name("%s/a/policy.d/90-live.policy", folder);
	struct live live;
	struct stat st;

	check(!strcmp(path, expected), "stands beside the policy: %s", path);
	check(!live_read(path, &live) && live.next_id == 1 && !live.n,
	      "a file that is not there is empty");
	check(!live_add(&live, "allow dns in line  # id=1 by=root"), "add");
	check(!live_write(path, &live), "writes, folders and all");
	live_free(&live);
	check(!live_read(path, &live) && live_count(&live) == 1 &&
		  live.next_id == 2,
	      "reads it back");
	live_free(&live);
	check(!stat(path, &st) && (st.st_mode & 0777) == 0644, "mode %o",
	      st.st_mode);
	check(!chmod(parent, 0) && !chmod(parent, 0755), "chmod");
	unlink(path);
}

static void test_sources(const char *folder)
{
	_cleanup_free_ char *policy = files_name("%s/a/policy", folder);
	_cleanup_free_ char *one =
	    files_name("%s/a/policy.d/10-b.policy", folder);
	_cleanup_free_ char *two =
	    files_name("%s/a/policy.d/05-a.policy", folder);
	_cleanup_free_ char *other = files_name("%s/a/policy.d/notes", folder);
	_cleanup_free_ char *said = NULL;
	struct live live = { .next_id = 1 };
	struct sources sources;
	size_t said_len;
	FILE *errors = open_memstream(&said, &said_len);

	check(sources_read(&sources, policy, policy, NULL, 0, NULL, errors) ==
		  -ENOENT,
	      "no policy");
	fflush(errors);
	check(said && strstr(said, policy), "says which file: %s", said);
	check(!files_write(policy, "p\n", 2, 0644) &&
		  !files_write(one, "b\n", 2, 0644) &&
		  !files_write(two, "a\n", 2, 0644) &&
		  !files_write(other, "x\n", 2, 0644),
	      "writes");
	check(!live_add(&live, "allow dns in line  # id=1"), "add");
	check(!sources_read(&sources, policy, policy, NULL, 0, &live, errors) &&
		  sources.n == 4,
	      "policy, two files, live changes: %zu", sources.n);
	check(sources.n == 4 && !strcmp(sources.list[1].text, "a\n") &&
		  !strcmp(sources.list[2].text, "b\n"),
	      "in sorted order");
	sources_free(&sources);
	check(
	    !sources_read(&sources, policy, "name", "text", 4, NULL, errors) &&
		sources.n == 3 && !strcmp(sources.list[0].name, "name") &&
		!strcmp(sources.list[0].text, "text"),
	    "a text instead of the file");
	sources_free(&sources);
	live_free(&live);
	fclose(errors);
	unlink(one);
	unlink(two);
	unlink(other);
	unlink(policy);
}

static void test_durations(void)
{
	static const char *const wrong[] = { "",   "5",	   "h",
					     "5x", "1h5",  "-1h",
					     "0s", "367d", "99999999999999h" };
	uint64_t seconds;
	size_t i;

	check(!duration_parse("90s", &seconds) && seconds == 90, "90s");
	check(!duration_parse("1d2h3m4s", &seconds) && seconds == 93784,
	      "1d2h3m4s");
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		check(duration_parse(wrong[i], &seconds) == -EINVAL, "`%s`",
		      wrong[i]);
}

int main(void)
{
	char folder[] = "/tmp/portcullis-live.XXXXXX";
	_cleanup_free_ char *sub = NULL;
	_cleanup_free_ char *subsub = NULL;

	if (!check(mkdtemp(folder), "a folder"))
		return tap_summary();
	test_parse();
	test_change();
	test_files(folder);
	test_sources(folder);
	test_durations();
	sub = files_name("%s/a", folder);
	subsub = files_name("%s/a/policy.d", folder);
	check(!rmdir(subsub) && !rmdir(sub) && !rmdir(folder),
	      "leaves nothing behind");
	return tap_summary();
}
