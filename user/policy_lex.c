/* SPDX-License-Identifier: GPL-2.0-only */
/* Text to tokens. The input may hold any byte. */
#include <string.h>

#include "policy_tree.h"

static bool is_word_byte(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c && strchr("-_./:@+%", c));
}

/* How many bytes the first one of a letter announces. */
static unsigned int announced(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead < 0xc0 || lead >= 0xf8)
		return 0;
	return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

unsigned int letter_len(const char *text, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0xa0, 0x800, 0x10000 };
	unsigned int n = len ? announced(text[0]) : 0;
	uint32_t letter;

	if (n > len)
		return 0;
	if (n < 2)
		return n && (unsigned char)*text >= ' ' && *text != 0x7f;
	letter = (unsigned char)text[0] & (0x7f >> n);
	for (unsigned int i = 1; i < n; i++) {
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			return 0;
		letter = letter << 6 | ((unsigned char)text[i] & 0x3f);
	}
	if (letter < least[n] || letter > 0x10ffff ||
	    (letter >= 0xd800 && letter < 0xe000))
		return 0;
	return n;
}

static int byte_at(const struct lexer *lex, uint32_t at)
{
	return at < lex->len ? (unsigned char)lex->text[at] : -1;
}

/* Is `\` at `at` followed by nothing but blanks and a new line? Returns the
 * offset behind the new line, or 0. */
static uint32_t continuation(const struct lexer *lex, uint32_t at)
{
	int c;

	do {
		c = byte_at(lex, ++at);
	} while (c == ' ' || c == '\t' || c == '\r');
	return c == '\n' ? at + 1 : 0;
}

static void skip_blanks(struct lexer *lex)
{
	uint32_t behind;
	int c;

	for (;;) {
		c = byte_at(lex, lex->at);
		if (c == ' ' || c == '\t' || c == '\r') {
			lex->at++;
		} else if (c == '#') {
			while (lex->at < lex->len && lex->text[lex->at] != '\n')
				lex->at++;
		} else if (c == '\\') {
			behind = continuation(lex, lex->at);
			if (!behind)
				return;
			lex->at = behind;
			lex->line++;
		} else {
			return;
		}
	}
}

static void take_word(struct lexer *lex)
{
	struct token *token = &lex->token;
	uint32_t end = lex->at;

	while (end < lex->len && is_word_byte(lex->text[end]))
		end++;
	token->kind = TOKEN_word;
	token->spot.len = end - lex->at;
	token->text =
	    arena_copy(lex->policy, lex->text + lex->at, token->spot.len);
	lex->at = end;
}

static bool is_control(int c)
{
	return (c >= 0 && c < ' ') || c == 0x7f;
}

/* Where the string at `at` ends or goes wrong; *ret_c is the byte there. */
static uint32_t string_end(const struct lexer *lex, uint32_t at, int *ret_c)
{
	unsigned int n;
	int c;

	for (at++;; at += n) {
		c = byte_at(lex, at);
		if (c == '"' || c < 0)
			break;
		if (c == '\\' && byte_at(lex, at + 1) == '"')
			at++;
		else if (c == '\\' && byte_at(lex, at + 1) == '\\')
			at++;
		n = letter_len(lex->text + at, lex->len - at);
		if (!n)
			break;
	}
	*ret_c = c;
	return at;
}

static void bad_string(struct lexer *lex, int c)
{
	struct policy *p = lex->policy;
	const struct spot *spot = &lex->token.spot;

	if (lex->quiet)
		return;
	if (c < 0 || c == '\n' || c == '\r') {
		policy_error(p, spot, "this string has no closing '\"'");
		policy_note(p, "a string ends on the line where it begins");
	} else if (is_control(c)) {
		policy_error(p, spot,
			     "a control character (0x%02x) inside a string", c);
	} else {
		policy_error(p, spot, "a letter of this string is not UTF-8");
	}
}

/* "…" with \" and \\ on one line. */
static void take_string(struct lexer *lex)
{
	struct token *token = &lex->token;
	uint32_t begin = lex->at + 1, end;
	size_t n = 0;
	char *text;
	int c;

	end = string_end(lex, lex->at, &c);
	token->spot.len = end - lex->at;
	if (c != '"') {
		token->kind = TOKEN_bad;
		/* What is not UTF-8 is not looked at again. */
		lex->at = end + (c >= 0x80);
		bad_string(lex, c);
		return;
	}
	token->spot.len++;
	text = arena_copy(lex->policy, lex->text + begin, end - begin);
	for (const char *s = text; *s; s++) {
		if (*s == '\\' && (s[1] == '"' || s[1] == '\\'))
			s++;
		text[n++] = *s;
	}
	text[n] = '\0';
	token->kind = TOKEN_string;
	token->text = text;
	lex->at = end + 1;
}

static void take_bad(struct lexer *lex, int c)
{
	struct token *token = &lex->token;

	token->kind = TOKEN_bad;
	lex->at++;
	/* One error for a run of such bytes, as in a letter of UTF-8. */
	while (c >= 0x80 && byte_at(lex, lex->at) >= 0x80)
		lex->at++;
	token->spot.len = lex->at - token->spot.offset;
	if (lex->quiet)
		return;
	if (c > ' ' && c < 0x7f)
		policy_error(lex->policy, &token->spot,
			     "'%c' has no meaning here", c);
	else
		policy_error(lex->policy, &token->spot,
			     "byte 0x%02x has no meaning here", c);
	if (c == '\\')
		policy_note(
		    lex->policy,
		    "a '\\' continues a line only as its last character");
	else if (c == '\'')
		policy_note(lex->policy, "titles stand in double quotes");
	else if (c >= 0x80)
		policy_note(
		    lex->policy,
		    "names are plain letters, digits, '-', '_' and '.'; other letters may stand in \"titles\"");
}

void lexer_next(struct lexer *lex)
{
	static const struct {
		char byte;
		enum token_kind kind;
	} single[] = {
		{ '\n', TOKEN_line }, { ';', TOKEN_line },  { '{', TOKEN_open },
		{ '}', TOKEN_close }, { ',', TOKEN_comma },
	};
	struct token *token = &lex->token;
	int c;

	lex->before = token->spot;
	skip_blanks(lex);
	memset(token, 0, sizeof(*token));
	token->spot = (struct spot){ .source = lex->source,
				     .line = lex->line,
				     .offset = lex->at,
				     .len = 1 };
	c = byte_at(lex, lex->at);
	if (c < 0) {
		token->kind = TOKEN_end;
		return;
	}
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
		if (c != single[i].byte)
			continue;
		token->kind = single[i].kind;
		lex->at++;
		lex->line += c == '\n';
		return;
	}
	if (is_word_byte(c))
		take_word(lex);
	else if (c == '"')
		take_string(lex);
	else
		take_bad(lex, c);
}

void lexer_start(struct lexer *lex, struct policy *p, uint32_t source)
{
	const struct policy_source *s = &p->sources[source];

	*lex = (struct lexer){ .policy = p,
			       .text = s->text,
			       .len = s->len,
			       .source = source,
			       .line = 1 };
	/* The byte order mark that some editors put first. */
	if (lex->len >= 3 && !memcmp(lex->text, "\xef\xbb\xbf", 3))
		lex->at = 3;
	lexer_next(lex);
}
