/* SPDX-License-Identifier: GPL-2.0-only */
/* Sends frames as they are: hexadecimal digits from the input, one frame a
 * line, spaces do not matter, padded to 60 bytes.
 *
 *   frame_peer INTERFACE
 */
#include <ctype.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LONGEST = 1522, SHORTEST = 60 };

static int digit(int c)
{
	return isdigit(c) ? c - '0' : tolower(c) - 'a' + 10;
}

/* Length of the frame; 0: there is none in the line. */
static size_t read_hex(const char *line, uint8_t *frame)
{
	size_t n = 0;

	memset(frame, 0, LONGEST);
	for (; *line && n < 2 * LONGEST; line++) {
		if (!isxdigit((unsigned char)*line))
			continue;
		frame[n / 2] = frame[n / 2] << 4 | digit(*line);
		n++;
	}
	if (n < 2 * ETH_HLEN)
		return 0;
	return n / 2 < SHORTEST ? SHORTEST : n / 2;
}

int main(int argc, char **argv)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_halen = ETH_ALEN };
	uint8_t frame[LONGEST];
	char line[4 * LONGEST];
	size_t len;
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (argc != 2 || fd < 0) {
		fputs("usage, as root: frame_peer INTERFACE <FRAMES\n", stderr);
		return 2;
	}
	to.sll_ifindex = if_nametoindex(argv[1]);
	while (fgets(line, sizeof(line), stdin)) {
		len = read_hex(line, frame);
		if (len &&
		    sendto(fd, frame, len, 0, (void *)&to, sizeof(to)) < 0) {
			perror("frame_peer: cannot send");
			return 1;
		}
	}
	return close(fd);
}
