/* SPDX-License-Identifier: GPL-2.0-only */
/* Replay on the host engine: every made-up capture against what is written
 * beside it, and what happens to files that are not as they should be.
 *
 *	replay_test [--seeds FOLDER]	writes the captures, each a file
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../user/log.h"
#include "captures/expect.h"
#include "tap.h"

static const struct replay_options host = {
	.kind = ENGINE_host,
	.slots = 4096,
	.json = true,
	.grace = true,
};

static void check_cases(void)
{
	struct image *image = play_policy(NULL);
	const struct capture_case *c;
	size_t n = 0;

	if (!check(image, "the built-in policy has errors"))
		return;
	while ((c = case_get(n)) && ++n)
		check_case(c, image, &host);
	check(n >= 30, "only %zu captures", n);
	image_free(image);
}

/* ---- a policy with interfaces ----------------------------------------- */

static const char cell[] =
    "site \"test\" {\n"
    "    mode enforce\n"
    "    forward wire eth0 eth1\n"
    "}\n"
    "service modbus tcp 502 expect modbus\n"
    "zone plant { interface eth1\n network 198.51.100.0/24 }\n"
    "zone people { interface eth0\n network 192.0.2.0/24 }\n"
    "conduit c from people to plant {\n"
    "    allow modbus read\n"
    "}\n";

static const struct capture_case *case_named(const char *name)
{
	const struct capture_case *c;

	for (size_t i = 0; (c = case_get(i)); i++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

/* The frames come in where the policy says that the zones are. */
static void check_policy(void)
{
	static const struct {
		const char *name;
		struct expectation expect;
	} rows[] = {
		{ "modbus-read", PASS(2, "modbus") },
		{ "modbus-write",
		  DROP("function_not_allowed", 4, 0, "modbus") },
		{ "ipv6", DROP("no_zone", 1, 0, "modbus") },
		{ "vlan", PASS(2, "modbus") },
		{ "http", DROP("no_service", 1, 0, "http") },
	};
	struct image *image = play_policy(cell);
	struct replay_totals totals;
	struct tape tape;
	char *text;
	int error;

	if (!check(image, "the policy has errors"))
		return;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		case_make(case_named(rows[i].name), &tape);
		text =
		    play(tape.bytes, tape.len, image, &host, &error, &totals);
		if (check(!error && text, "%s: error %d", rows[i].name, error))
			check_line(rows[i].name, text, &rows[i].expect);
		free(text);
		tape_free(&tape);
	}
	image_free(image);
}

/* ---- files that are not as they should be ------------------------------ */

static void check_damage(void)
{
	struct image *image = play_policy(NULL);
	struct replay_totals totals;
	struct tape tape;
	char *text;
	int error;

	if (!check(image, "the built-in policy has errors"))
		return;
	case_make(case_named("modbus-read"), &tape);
	text = play(tape.bytes, tape.len - 7, image, &host, &error, &totals);
	check(error == -EIO && text && strstr(text, "\"verdict\":\"pass\""),
	      "a cut file: error %d, %s", error, text ? text : "nothing");
	check(totals.frames == tape.frames - 1, "a cut file: %llu frames",
	      (unsigned long long)totals.frames);
	free(text);

	text = play("no capture at all, but text", 27, image, &host, &error,
		    &totals);
	check(error == -EBADF && text && strstr(text, "not a pcap"),
	      "text: error %d, %s", error, text ? text : "nothing");
	free(text);
	tape_free(&tape);

	tape_begin(&tape, TAPE_pcap, TAPE_ppp, 65535);
	text = play(tape.bytes, tape.len, image, &host, &error, &totals);
	check(error == -EBADF && text && strstr(text, "PPP"),
	      "PPP: error %d, %s", error, text ? text : "nothing");
	free(text);
	tape_free(&tape);
	image_free(image);
}

/* A million bytes of SYNs: the bound on conversations bites, and is told. */
static void check_flood(void)
{
	enum { SYNS = 270000 };
	struct image *image = play_policy(NULL);
	struct replay_options options = host;
	struct replay_totals totals;
	struct tape tape;
	struct talk talk;
	char *text;
	int error;

	if (!check(image, "the built-in policy has errors"))
		return;
	options.json = false;
	tape_begin(&tape, TAPE_pcap, TAPE_ethernet, 65535);
	talk_begin(&talk, &tape, 4, 6, 502);
	for (uint32_t i = 0; i < SYNS; i++) {
		talk.frame.sport = (uint16_t)(1024 + i % 60000);
		talk.frame.src[15] = (uint8_t)(20 + i / 60000);
		talk_segment(&talk, TALK_client, 0, FRAME_SYN, "");
	}
	text = play(tape.bytes, tape.len, image, &options, &error, &totals);
	check(!error && totals.conversations == SYNS && totals.early > 0,
	      "flood: error %d, %llu conversations, %llu early", error,
	      (unsigned long long)totals.conversations,
	      (unsigned long long)totals.early);
	check(totals.dropped == 0, "flood: %llu refused",
	      (unsigned long long)totals.dropped);
	free(text);
	tape_free(&tape);
	image_free(image);
}

/* ---- the command ------------------------------------------------------- */

static bool write_case(const char *path, const struct capture_case *c)
{
	struct tape tape;
	FILE *file = fopen(path, "we");
	bool good;

	if (!file)
		return false;
	case_make(c, &tape);
	good = fwrite(tape.bytes, tape.len, 1, file) == 1;
	tape_free(&tape);
	return !fclose(file) && good;
}

static bool write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	return file && fputs(text, file) >= 0 && !fclose(file);
}

/* The exit code of `replay WORDS`, with what it prints put away. */
static int run(const char *words)
{
	char copy[512], *argv[16] = { "replay" }, *rest;
	int argc = 1, kept[2], status;
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

	snprintf(copy, sizeof(copy), "%s", words);
	argv[argc] = strtok_r(copy, " ", &rest);
	while (argv[argc] && argc < 15)
		argv[++argc] = strtok_r(NULL, " ", &rest);
	fflush(stdout);
	kept[0] = dup(STDOUT_FILENO);
	kept[1] = dup(STDERR_FILENO);
	dup2(nowhere, STDOUT_FILENO);
	dup2(nowhere, STDERR_FILENO);
	status = cmd_replay(argc, argv);
	fflush(stdout);
	dup2(kept[0], STDOUT_FILENO);
	dup2(kept[1], STDERR_FILENO);
	close(kept[0]);
	close(kept[1]);
	close(nowhere);
	return status;
}

static void check_command(void)
{
	static const struct {
		const char *words;
		int status;
	} rows[] = {
		{ "--engine host good", 0 },
		{ "--engine host --json good", 0 },
		{ "--engine host bad", 4 },
		{ "--engine host good bad", 4 },
		{ "--engine host --door tc bad good", 4 },
		{ "--engine host absent", 1 },
		{ "--engine host absent bad", 1 },
		{ "--engine host policy good", 1 },
		{ "--engine host --policy policy good", 0 },
		{ "--engine host --policy broken good", 3 },
		{ "--engine host --policy absent good", 1 },
		{ "--engine host --no-grace midstream", 4 },
		{ "--engine host midstream", 0 },
		{ "--engine host --slots 64 good", 0 },
		{ "", 2 },
		{ "--engine toy good", 2 },
		{ "--door window good", 2 },
		{ "--slots 0 good", 2 },
		{ "--slots many good", 2 },
		{ "--wrong good", 2 },
		{ "--help", 0 },
	};
	char folder[] = "/tmp/replay_test.XXXXXX";
	int status;

	if (!check(mkdtemp(folder) && !chdir(folder), "no folder") ||
	    !check(write_case("good", case_named("modbus-read")) &&
		       write_case("bad", case_named("ssh-on-502")) &&
		       write_case("midstream", case_named("midstream")) &&
		       write_text("policy", cell) &&
		       write_text("broken", "zone {\n"),
		   "cannot write to %s", folder))
		return;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		status = run(rows[i].words);
		check(status == rows[i].status, "replay %s: %d, not %d",
		      rows[i].words, status, rows[i].status);
	}
	unlink("good");
	unlink("bad");
	unlink("midstream");
	unlink("policy");
	unlink("broken");
	check(!chdir("/") && !rmdir(folder), "%s was not empty", folder);
}

/* For fuzz_replay, and for those who want a capture. */
static int write_seeds(const char *folder)
{
	const struct capture_case *c;
	char path[512];

	for (size_t i = 0; (c = case_get(i)); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, c->name);
		if (!write_case(path, c)) {
			fprintf(stderr, "cannot write %s: %s\n", path,
				strerror(errno));
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	log_open("replay_test", false);
	if (argc == 3 && !strcmp(argv[1], "--seeds"))
		return write_seeds(argv[2]);
	check_cases();
	check_policy();
	check_damage();
	check_flood();
	check_command();
	return tap_summary();
}
