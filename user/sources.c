/* SPDX-License-Identifier: GPL-2.0-only */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "files.h"
#include "sources.h"

static char *folder_of(const char *policy_path)
{
	_cleanup_free_ char *folder = files_folder(policy_path);

	return folder ? files_name("%s/policy.d", folder) : NULL;
}

char *sources_live_path(const char *policy_path)
{
	_cleanup_free_ char *folder = folder_of(policy_path);

	return folder ? files_name("%s/" SOURCES_LIVE, folder) : NULL;
}

/* Takes both over, also when it fails. */
static int add(struct sources *sources, char *name, char *text, size_t len)
{
	struct policy_source *more = NULL;

	if (name && text)
		more =
		    reallocarray(sources->list, sources->n + 1, sizeof(*more));
	if (!more) {
		free(name);
		free(text);
		return -ENOMEM;
	}
	sources->list = more;
	more[sources->n++] =
	    (struct policy_source){ .name = name, .text = text, .len = len };
	return 0;
}

static void say_unreadable(const char *path, int err, FILE *errors)
{
	const char *what_to_do = "";

	if (err == -ENOENT)
		what_to_do = ": write it, or name another file";
	else if (err == -EACCES || err == -EPERM)
		what_to_do = ": be root, or name another file";
	fprintf(errors, "portcullis: cannot read the policy %s: %s%s\n", path,
		strerror(-err), what_to_do);
}

static int add_file(struct sources *sources, const char *path, FILE *errors)
{
	char *text = NULL;
	size_t len;
	int err;

	err = files_read(path, SOURCES_MOST, &text, &len);
	if (err) {
		say_unreadable(path, err, errors);
		return err;
	}
	return add(sources, strdup(path), text, len);
}

static int is_policy(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 7 && entry->d_name[0] != '.' &&
	       !strcmp(entry->d_name + len - 7, ".policy");
}

static int add_live(struct sources *sources, const char *path,
		    const struct live *live)
{
	size_t len = 0;
	char *text = live_text(live, &len);

	return add(sources, strdup(path), text, len);
}

static int add_folder(struct sources *sources, const char *folder,
		      const struct live *live, FILE *errors)
{
	struct dirent **entries = NULL;
	int i, n, err = 0;
	char *path;

	n = scandir(folder, &entries, is_policy, alphasort);
	for (i = 0; i < n; i++) {
		path = files_name("%s/%s", folder, entries[i]->d_name);
		if (!path)
			err = -ENOMEM;
		/* The live changes come from memory, below. */
		if (!err && (!live || strcmp(entries[i]->d_name, SOURCES_LIVE)))
			err = add_file(sources, path, errors);
		free(path);
		free(entries[i]);
	}
	free(entries);
	return err;
}

int sources_read(struct sources *sources, const char *policy_path,
		 const char *name, const char *text, size_t len,
		 const struct live *live, FILE *errors)
{
	_cleanup_free_ char *folder = folder_of(policy_path);
	_cleanup_free_ char *live_path = sources_live_path(policy_path);
	char *copy;
	int err;

	*sources = (struct sources){ 0 };
	if (!folder || !live_path)
		return -ENOMEM;
	if (text) {
		copy = malloc(len + 1);
		if (copy) {
			memcpy(copy, text, len);
			copy[len] = '\0';
		}
		err = add(sources, strdup(name), copy, len);
	} else {
		err = add_file(sources, policy_path, errors);
	}
	if (!err)
		err = add_folder(sources, folder, live, errors);
	if (!err && live && live_count(live))
		err = add_live(sources, live_path, live);
	if (err)
		sources_free(sources);
	return err;
}

void sources_free(struct sources *sources)
{
	size_t i;

	for (i = 0; i < sources->n; i++) {
		free((char *)sources->list[i].name);
		free((char *)sources->list[i].text);
	}
	free(sources->list);
	*sources = (struct sources){ 0 };
}
