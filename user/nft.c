/* SPDX-License-Identifier: GPL-2.0-only */
#include "nft.h"

#include <errno.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct nft {
	struct nft_ctx *context;
};

struct nft *nft_open(void)
{
	return calloc(1, sizeof(struct nft));
}

/* libnftables ends the process where the kernel has no such socket, so it is
 * asked for only where there is one; a module may bring it later. */
static bool kernel_has_nft(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static int make_context(struct nft *nft)
{
	if (nft->context)
		return 0;
	if (!kernel_has_nft())
		return -EPROTONOSUPPORT;
	nft->context = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!nft->context)
		return -ENOMEM;
	if (!nft_ctx_buffer_error(nft->context) &&
	    !nft_ctx_buffer_output(nft->context))
		return 0;
	nft_ctx_free(nft->context);
	nft->context = NULL;
	return -ENOMEM;
}

void nft_close(struct nft *nft)
{
	if (!nft)
		return;
	if (nft->context)
		nft_ctx_free(nft->context);
	free(nft);
}

/* The first line of what libnftables said, without its "Error: ". */
static void tell(struct nft *nft, char *error, size_t error_len)
{
	const char *said = nft_ctx_get_error_buffer(nft->context);
	const char *at = strstr(said, "Error: ");

	if (at)
		said = at + strlen("Error: ");
	snprintf(error, error_len, "%.*s", (int)strcspn(said, "\n"), said);
}

static int run(struct nft *nft, const char *commands, char *error,
	       size_t error_len)
{
	int err = make_context(nft);

	if (err) {
		snprintf(error, error_len, "%s", strerror(-err));
		return err;
	}
	if (!nft_run_cmd_from_buffer(nft->context, commands))
		return 0;
	tell(nft, error, error_len);
	return -EINVAL;
}

static void write_names(FILE *out, const struct nft_guard *guard)
{
	size_t i;

	fputs("\tset guarded {\n\t\ttype ifname\n\t\telements = { ", out);
	for (i = 0; i < guard->n_guarded; i++)
		fprintf(out, "\"%s\", ", guard->guarded[i]);
	fputs("}\n\t}\n", out);
}

static void write_indexes(FILE *out, const struct nft_guard *guard)
{
	size_t i;

	fputs("\tset attached {\n\t\ttype iface_index\n", out);
	if (guard->n_attached) {
		fputs("\t\telements = { ", out);
		for (i = 0; i < guard->n_attached; i++)
			fprintf(out, "%u, ", guard->attached[i]);
		fputs("}\n", out);
	}
	fputs("\t}\n", out);
}

/* `add` before `delete` makes the deletion of what is not there no error. */
static void write_table(FILE *out, const char *family, int priority,
			const struct nft_guard *guard)
{
	fprintf(out,
		"add table %s portcullis\n"
		"delete table %s portcullis\n"
		"table %s portcullis {\n",
		family, family, family);
	write_names(out, guard);
	write_indexes(out, guard);
	fprintf(out,
		"\tchain forward {\n"
		"\t\ttype filter hook forward priority %d; policy accept;\n"
		"\t\tiifname @guarded iif != @attached counter drop\n"
		"\t\toifname @guarded oif != @attached counter drop\n"
		"\t}\n"
		"}\n",
		priority);
}

static int set_family(struct nft *nft, const char *family, int priority,
		      const struct nft_guard *guard, char *error,
		      size_t error_len)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int err;

	if (!out)
		return -ENOMEM;
	write_table(out, family, priority, guard);
	if (fclose(out)) {
		free(text);
		return -ENOMEM;
	}
	err = run(nft, text, error, error_len);
	free(text);
	return err;
}

/* A name is put between quotes, where these mean something to nft. */
static bool is_plain(const char *name)
{
	return *name && !strpbrk(name, "\"*\\\n");
}

int nft_set(struct nft *nft, const struct nft_guard *guard, bool bridge,
	    char *error, size_t error_len)
{
	char ignored[256];
	size_t i;
	int err;

	if (!guard->n_guarded) {
		nft_remove(nft);
		return 0;
	}
	for (i = 0; i < guard->n_guarded; i++) {
		if (is_plain(guard->guarded[i]))
			continue;
		snprintf(error, error_len, "no name for nftables: %s",
			 guard->guarded[i]);
		return -EINVAL;
	}
	err = set_family(nft, "inet", -10, guard, error, error_len);
	if (err)
		return err;
	err = set_family(nft, "bridge", -210, guard, bridge ? error : ignored,
			 bridge ? error_len : sizeof(ignored));
	return bridge ? err : 0;
}

bool nft_stands(struct nft *nft)
{
	char ignored[256];

	return !run(nft, "list chain inet portcullis forward", ignored,
		    sizeof(ignored));
}

void nft_remove(struct nft *nft)
{
	char ignored[256];

	run(nft, "add table inet portcullis\ndelete table inet portcullis\n",
	    ignored, sizeof(ignored));
	run(nft,
	    "add table bridge portcullis\ndelete table bridge portcullis\n",
	    ignored, sizeof(ignored));
}
