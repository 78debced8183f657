// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lines "early" of /etc/oom-policy.conf: when psi_kill is to kill below a cgroup.
 *
 *	early PATH when CONDITION [and CONDITION ...]
 *
 *	CONDITION	pressure some|full above SHARE [for TIME]
 *			free|swap below SHARE [for TIME]
 */
#include <string.h>

#include "oom_conf.h"
#include "tool.h"

#define MAX_FOR_MS	(3600 * 1000)

/* Where a line has been read to: never beyond the NULL at its end. */
struct reader {
	struct oom_conf *conf;
	int line;
	char **word;
};

/* What is there is not what comes after the word before. */
static int wrong(const struct reader *r, const char *wanted)
{
	if (!*r->word)
		return conf_fail(r->conf, r->line, "'%s' is followed by %s", r->word[-1], wanted);
	return conf_fail(r->conf, r->line, "'%s' is followed by %s, not by '%s'", r->word[-1],
			 wanted, *r->word);
}

static bool is_next(struct reader *r, const char *word)
{
	if (!*r->word || strcmp(*r->word, word))
		return false;
	r->word++;
	return true;
}

static int read_measure(struct reader *r, enum oom_measure *measure)
{
	if (is_next(r, "pressure")) {
		if (is_next(r, "some"))
			*measure = OOM_PRESSURE_SOME;
		else if (is_next(r, "full"))
			*measure = OOM_PRESSURE_FULL;
		else
			return wrong(r, "some or full");
		return is_next(r, "above") ? 0 : wrong(r, "above");
	}
	if (is_next(r, "free"))
		*measure = OOM_FREE;
	else if (is_next(r, "swap"))
		*measure = OOM_SWAP;
	else
		return wrong(r, "pressure, free or swap");
	return is_next(r, "below") ? 0 : wrong(r, "below");
}

static int read_time(struct reader *r, unsigned int *ms)
{
	char *word = *r->word ?: "";
	const size_t nr_digits = strspn(word, "0123456789");
	const char *unit = word + nr_digits;
	char digits[16] = "";
	unsigned long number;

	if (nr_digits < sizeof(digits))
		memcpy(digits, word, nr_digits);
	if (parse_number(digits, MAX_FOR_MS, &number) || (strcmp(unit, "s") && strcmp(unit, "ms")))
		return wrong(r, "a time, as 10s or 1500ms");
	if (!strcmp(unit, "s"))
		number *= 1000;
	if (!number || number > MAX_FOR_MS)
		return wrong(r, "a time from 1ms to 3600s");
	*ms = number;
	r->word++;
	return 0;
}

static int read_condition(struct reader *r, struct oom_condition *condition)
{
	if (read_measure(r, &condition->measure))
		return -1;
	if (!*r->word || parse_share(*r->word, &condition->percent) || condition->percent < 0.01)
		return wrong(r, "a share from 0.01% to 100%");
	r->word++;
	return is_next(r, "for") ? read_time(r, &condition->for_ms) : 0;
}

int oom_early_parse(struct oom_conf *conf, int line, char **words)
{
	struct oom_early *early = &conf->early[conf->nr_early];
	struct reader r = { conf, line, words + 1 };
	bool has_pressure = false;
	int n = 0;

	if (conf->nr_early == MAX_EARLY)
		return conf_fail(conf, line, "there is room for %d lines 'early'", MAX_EARLY);
	if (!*r.word || **r.word != '/')
		return wrong(&r, "the path of a cgroup, with a slash in front");
	r.word++;
	if (!is_next(&r, "when"))
		return wrong(&r, "when");
	do {
		if (n == MAX_CONDITIONS)
			return conf_fail(conf, line, "there is room for %d conditions",
					 MAX_CONDITIONS);
		if (read_condition(&r, &early->conditions[n]))
			return -1;
		has_pressure |= early->conditions[n++].measure <= OOM_PRESSURE_FULL;
	} while (is_next(&r, "and"));
	if (*r.word)
		return wrong(&r, r.word[-1][strlen(r.word[-1]) - 1] == '%' ?
			     "and, for or nothing" : "and or nothing");
	if (!has_pressure)
		return conf_fail(conf, line,
				 "a pressure is missing: by that the kernel says when to look");
	early->cgroup = strdup(words[1]);
	if (!early->cgroup)
		return conf_fail(conf, line, "there is no memory left");
	early->line = line;
	early->nr = n;
	conf->nr_early++;
	return 0;
}

void oom_condition_text(const struct oom_condition *condition, char *text, size_t size)
{
	static const char * const names[] = {
		[OOM_PRESSURE_SOME] = "pressure some above",
		[OOM_PRESSURE_FULL] = "pressure full above",
		[OOM_FREE] = "free below",
		[OOM_SWAP] = "swap below",
	};
	const unsigned int ms = condition->for_ms;
	const bool whole = ms % 1000 == 0;
	char time[32] = "";

	if (ms)
		snprintf(time, sizeof(time), " for %u%s", whole ? ms / 1000 : ms,
			 whole ? "s" : "ms");
	snprintf(text, size, "%s %g%%%s", names[condition->measure], condition->percent, time);
}
