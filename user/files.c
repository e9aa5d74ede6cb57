/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "files.h"

int files_read(const char *path, size_t most, char **ret_text, size_t *ret_len)
{
	size_t len = 0, size = 65536;
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	char *larger;
	ssize_t n;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (;;) {
		larger = realloc(text, size + 1);
		if (!larger)
			return -ENOMEM;
		text = larger;
		n = read(fd, text + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += n;
		if (len > most)
			return -EFBIG;
		if (len == size)
			size *= 2;
	}
	text[len] = '\0';
	*ret_text = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

static int write_all(int fd, const char *text, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= n;
	}
	return 0;
}

/* A rename is only safe on disk when its folder is. */
static void sync_folder(const char *path)
{
	_cleanup_free_ char *folder = files_folder(path);
	_cleanup_close_ int fd = -1;

	if (folder)
		fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		fsync(fd);
}

int files_write(const char *path, const char *text, size_t len, mode_t mode)
{
	_cleanup_free_ char *fresh = files_name("%s.new", path);
	_cleanup_close_ int fd = -1;
	int err;

	if (!fresh)
		return -ENOMEM;
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		  mode);
	if (fd < 0)
		return -errno;
	err = write_all(fd, text, len);
	if (!err && fsync(fd))
		err = -errno;
	if (!err && rename(fresh, path))
		err = -errno;
	if (err)
		unlink(fresh);
	else
		sync_folder(path);
	return err;
}

int files_make_folder(const char *path, mode_t mode)
{
	_cleanup_free_ char *part = strdup(path);
	struct stat st;
	char *slash;

	if (!part)
		return -ENOMEM;
	for (slash = strchr(part + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	if (mkdir(part, mode) && errno != EEXIST)
		return -errno;
	if (stat(part, &st))
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

char *files_name(const char *format, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	return len < 0 ? NULL : text;
}

char *files_folder(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	if (slash == path)
		return strdup("/");
	return strndup(path, slash - path);
}

const char *files_run_dir(const char *option)
{
	const char *set = secure_getenv("PORTCULLIS_RUN_DIR");

	if (option)
		return option;
	return set && *set ? set : FILES_RUN_DIR;
}
