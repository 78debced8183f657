// SPDX-License-Identifier: GPL-2.0-only
/*
 * OCI runtimes: priorities that a container has before its first instruction. The
 * hook is fed with a container's state as a runtime feeds it, while the container's
 * process waits; and what a runtime writes by itself for linux.resources.unified (podman
 * run --cgroup-conf) counts for the scope, also where the processes are one below, as
 * with crun. Then the same with crun itself.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "cgroups.h"
#include "helpers.h"
#include "sample.h"
#include "shell.h"
#include "shortage.h"
#include "tasks.h"
#include "tree.h"

#define PRIORITY	"memory.oom.priority"
#define BUNDLE		"/tmp/bundle"
#define NAME		"io.bpf-oom-policy.priority"
#define SCOPE		"machine.slice/libpod-aa.scope"
#define OTHER		"machine.slice/libpod-bb.scope"
#define MEGABYTES	16

/* The first process of a container: in its cgroup, and waiting for the runtime. */
struct container {
	pid_t pid;
	int start;
	int *started;
};

static int run_container(int wait_fd, int *started)
{
	char *memory, go;
	size_t n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (set_oom_score_adj(getpid(), 0))
		return 1;
	if (read(wait_fd, &go, 1) != 1)
		return 1;
	memory = malloc(MEGABYTES * MEGABYTE);
	for (n = 0; memory && n < MEGABYTES * MEGABYTE; n += 4096)
		memory[n] = 1;
	__atomic_store_n(started, 1, __ATOMIC_RELEASE);
	for (;;)
		pause();
}

static int container_create(struct container *container, const char *cgroup)
{
	char text[16];
	int fds[2];

	container->started = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (container->started == MAP_FAILED || pipe(fds))
		return -1;
	container->pid = fork();
	if (!container->pid) {
		close(fds[1]);
		_exit(run_container(fds[0], container->started));
	}
	close(fds[0]);
	container->start = fds[1];
	snprintf(text, sizeof(text), "%d", container->pid);
	return container->pid < 0 ? -1 : cgroup_write(cgroup, "cgroup.procs", text);
}

static int container_start(struct container *container)
{
	if (write(container->start, "", 1) != 1)
		return -1;
	return wait_until(__atomic_load_n(container->started, __ATOMIC_ACQUIRE)) ? 0 : -1;
}

static void container_delete(struct container *container)
{
	if (container->pid <= 0)
		return;
	kill(container->pid, SIGKILL);
	waitpid(container->pid, NULL, 0);
	close(container->start);
	munmap(container->started, sizeof(int));
	container->pid = 0;
}

/* A state as the runtime specification has it. */
static int hook(const char *options, pid_t pid, const char *annotations)
{
	return shell("oom_oci %s <<END\n"
		     "{\"ociVersion\":\"1.0.2\",\"id\":\"aa\",\"status\":\"creating\",\n"
		     "\"pid\":%d,\"bundle\":\"" BUNDLE "\"%s%s}\n"
		     "END\n",
		     options, pid, *annotations ? ",\"annotations\":" : "", annotations);
}

static int write_bundle(const char *annotations)
{
	return shell("mkdir -p " BUNDLE " && cat >" BUNDLE "/config.json <<END\n"
		     "{\"ociVersion\":\"1.0.2\",\"annotations\":%s}\n"
		     "END\n", annotations);
}

static void expect_priority_at(struct __test_metadata *_metadata, const char *path,
			       const char *value)
{
	EXPECT_STREQ(value, cgroup_read(path, PRIORITY)) TH_LOG("%s", path);
}

#define expect_priority(...)	expect_priority_at(_metadata, __VA_ARGS__)

FIXTURE(oci)
{
	struct container container;
	pid_t other;
	char inner[128];
};

FIXTURE_VARIANT(oci)
{
	const char *below;	/* the cgroup of the processes, below the scope */
	bool controller;	/* that has the memory controller */
};

FIXTURE_VARIANT_ADD(oci, runc) { .below = "" };
FIXTURE_VARIANT_ADD(oci, crun) { .below = "/container" };
FIXTURE_VARIANT_ADD(oci, crun_delegated) { .below = "/container", .controller = true };

FIXTURE_SETUP(oci)
{
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, write_bundle("{}"));
	snprintf(self->inner, sizeof(self->inner), SCOPE "%s", variant->below);
	ASSERT_EQ(0, cgroup_make_path(SCOPE));
	if (variant->controller)
		ASSERT_EQ(0, cgroup_enable_memory(SCOPE));
	if (*variant->below)
		ASSERT_EQ(0, cgroup_make(self->inner));
	ASSERT_EQ(0, cgroup_make(OTHER));
	ASSERT_EQ(0, container_create(&self->container, self->inner));
}

FIXTURE_TEARDOWN(oci)
{
	container_delete(&self->container);
	if (self->other > 0) {
		kill(self->other, SIGKILL);
		waitpid(self->other, NULL, 0);
	}
	shell("bpftool oom detach /");
	cgroup_remove(OTHER);
	cgroup_remove_path(self->inner);
}

/* The other one is larger: it dies unless the container's priority counts. */
static void expect_victim(struct __test_metadata *_metadata, struct container *container,
			  pid_t *other, bool is_container)
{
	ASSERT_EQ(0, shell("bpftool oom attach " SHARE "/tenant_prio.bpf.o /"))
		TH_LOG("%s", shell_output);
	*other = task_start_in(OTHER, 2 * MEGABYTES, 0);
	ASSERT_LT(0, *other);
	ASSERT_EQ(0, container_start(container));
	ASSERT_EQ(0, raise_oom_sysrq());
	EXPECT_TRUE(wait_until(has_ended(container->pid) || has_ended(*other)));
	EXPECT_EQ(is_container, has_ended(container->pid));
	EXPECT_NE(is_container, has_ended(*other));
}

/* Where the priority is written: the nearest cgroup that has one. */
#define place()	(variant->controller ? self->inner : SCOPE)

TEST_F_TIMEOUT(oci, annotation_of_the_state, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, hook("", self->container.pid, "{\"a\":\"b\",\"" NAME "\":\"-100\"}"))
		TH_LOG("%s", shell_output);
	EXPECT_STREQ("", shell_output);
	EXPECT_EQ(0, *self->container.started);
	expect_priority(place(), "-100");
	expect_victim(_metadata, &self->container, &self->other, true);
}

TEST_F_TIMEOUT(oci, annotation_of_the_bundle, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, write_bundle("{\"" NAME "\":\"-5\"}"));
	ASSERT_EQ(0, hook("", self->container.pid, "")) TH_LOG("%s", shell_output);
	expect_priority(place(), "-5");
	expect_victim(_metadata, &self->container, &self->other, true);
}

/* As the runtime has it from --cgroup-conf, for the scope. */
TEST_F_TIMEOUT(oci, unified, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, cgroup_write(SCOPE, PRIORITY, "-100"));
	expect_victim(_metadata, &self->container, &self->other, true);
}

TEST_F_TIMEOUT(oci, no_annotation, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, hook("", self->container.pid, "{\"other\":\"-100\"}"));
	expect_priority(place(), "unset");
	expect_victim(_metadata, &self->container, &self->other, false);
}

TEST_F_TIMEOUT(oci, other_name_and_max, TEST_TIMEOUT_S)
{
	const char * const path = place();

	ASSERT_EQ(0, hook("--annotation x", self->container.pid, "{\"x\":\"max\"}"));
	expect_priority(path, "max");
	ASSERT_EQ(0, hook("--max 10", self->container.pid, "{\"" NAME "\":\"10\"}"));
	expect_priority(path, "10");
	EXPECT_EQ(1, hook("--max 10", self->container.pid, "{\"" NAME "\":\"11\"}"));
	EXPECT_NE(NULL, strstr(shell_output, "may be 10 at most, not 11"));
	EXPECT_EQ(1, hook("--max 10", self->container.pid, "{\"" NAME "\":\"max\"}"));
	expect_priority(path, "10");
}

/* podman run --cgroups=disabled leaves the container where podman is. */
TEST_F_TIMEOUT(oci, no_cgroup_of_its_own, TEST_TIMEOUT_S)
{
	EXPECT_EQ(1, shell("echo $$ >" CGROUP_ROOT "/%s/cgroup.procs; oom_oci <<END\n"
			   "{\"ociVersion\":\"1.0.2\",\"id\":\"aa\",\"pid\":%d,\n"
			   "\"annotations\":{\"" NAME "\":\"-100\"}}\n"
			   "END\n", self->inner, self->container.pid));
	EXPECT_NE(NULL, strstr(shell_output, "is in no cgroup of its own: its runtime is in /"))
		TH_LOG("%s", shell_output);
	expect_priority(place(), "unset");
}

/* One sentence, status 1, nothing changed: the runtime does not start the container. */
TEST_F_TIMEOUT(oci, bad_input, TEST_TIMEOUT_S)
{
	static const char * const bad[] = { "", "ten", "1.5", " 1", "+1", "0x10",
					    "9223372036854775808" };
	char annotation[128];
	size_t n;

	for (n = 0; n < ARRAY_SIZE(bad); n++) {
		snprintf(annotation, sizeof(annotation), "{\"" NAME "\":\"%s\"}", bad[n]);
		EXPECT_EQ(1, hook("", self->container.pid, annotation)) TH_LOG("%s", bad[n]);
		EXPECT_NE(NULL, strstr(shell_output, "is max or a number from"));
	}
	EXPECT_EQ(1, hook("", 0, "{\"" NAME "\":\"1\"}"));
	EXPECT_NE(NULL, strstr(shell_output, "names no process"));
	EXPECT_EQ(1, hook("", 4194303, "{\"" NAME "\":\"1\"}"));
	EXPECT_NE(NULL, strstr(shell_output, "cannot read /proc/4194303/cgroup"));
	EXPECT_EQ(1, hook("", getpid(), "{\"" NAME "\":\"1\"}"));
	EXPECT_NE(NULL, strstr(shell_output, "is in no cgroup of its own"));
	EXPECT_EQ(1, hook("--max x", self->container.pid, ""));
	EXPECT_EQ(1, hook("--maximum", self->container.pid, ""));
	EXPECT_EQ(1, hook("word", self->container.pid, ""));
	EXPECT_EQ(1, shell("echo '{' | oom_oci"));
	EXPECT_NE(NULL, strstr(shell_output, "is no JSON"));
	EXPECT_EQ(1, shell("echo '{\"pid\":\"1\"}' | oom_oci"));
	EXPECT_NE(NULL, strstr(shell_output, "this is no state of a container"));
	expect_priority(place(), "unset");
}

/*
 * crun itself, of Debian, from /mnt/crun: bundles whose process says, before anything
 * else, which priority it has; the first one that it sees.
 */
#define CRUN		"LD_LIBRARY_PATH=/mnt/crun /mnt/crun/crun --cgroup-manager=cgroupfs "
#define CONTAINERS	"/tmp/containers"

static const char config[] =
	"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"rootfs\"},\n"
	"\"process\":{\"user\":{\"uid\":0,\"gid\":0},\"cwd\":\"/\",\n"
	"\"env\":[\"PATH=/bin\"],\"args\":[\"/bin/sh\",\"/main\",\"%2$d\"]},\n"
	"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},\n"
	"{\"destination\":\"/dev\",\"type\":\"bind\",\"source\":\"/dev\",\"options\":[\"bind\"]},\n"
	"{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"source\":\"cgroup\"}],\n"
	"%3$s\n"
	"\"linux\":{\"cgroupsPath\":\"/machine/%1$s\",\"resources\":{\"unified\":{%4$s}},\n"
	"\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"cgroup\"}]}}";

static const char commands[] =
	"set -e; bundle=" CONTAINERS "/%1$s; root=$bundle/rootfs\n"
	"mkdir -p $root/bin $root/dev $root/proc $root/sys/fs/cgroup\n"
	"cp /bin/busybox $root/bin; for a in sh dd tr sleep; do ln -sf busybox $root/bin/$a; done\n"
	"cat >$root/main <<'END'\n"
	"read p </sys/fs/cgroup/" PRIORITY "\n"
	"echo 0 >/proc/self/oom_score_adj\n"
	"x=$(dd if=/dev/zero bs=$1M count=1 2>/dev/null | tr -c x x); echo $p >/seen\n"
	"sleep 100000; :\n"
	"END\n"
	"cat >$bundle/config.json <<'END'\n"
	"%2$s\n"
	"END\n"
	CRUN "run --no-new-keyring --no-pivot --detach --bundle $bundle %1$s \\\n"
	"	</dev/null >$bundle/said 2>&1 || { cat $bundle/said; exit 1; }\n";

static int runtime_run(const char *name, int megabytes, const char *more, const char *unified)
{
	char text[2048];

	snprintf(text, sizeof(text), config, name, megabytes, more, unified);
	return shell(commands, name, text);
}

static bool runtime_seen(const char *name, const char *priority)
{
	char path[128];

	snprintf(path, sizeof(path), CONTAINERS "/%s/rootfs/seen", name);
	return file_has(path, priority);
}

static pid_t runtime_pid(const char *name)
{
	if (shell(CRUN "state %s | jq .pid", name))
		return -1;
	return atoi(shell_output);
}

FIXTURE(crun)
{
	int unused;
};

FIXTURE_VARIANT(crun)
{
	const char *more;	/* of the bundle */
	const char *unified;
};

FIXTURE_VARIANT_ADD(crun, unified) {
	.more = "",
	.unified = "\"" PRIORITY "\":\"-100\"",
};

FIXTURE_VARIANT_ADD(crun, hook) {
	.more = "\"annotations\":{\"" NAME "\":\"-100\"},\n"
		"\"hooks\":{\"createRuntime\":[{\"path\":\"/usr/bin/oom_oci\"}]},",
	.unified = "",
};

FIXTURE_SETUP(crun)
{
	if (access("/mnt/crun/crun", X_OK))
		SKIP(return, "crun is not here");
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, shell("bpftool oom attach " SHARE "/tenant_prio.bpf.o /"))
		TH_LOG("%s", shell_output);
}

FIXTURE_TEARDOWN(crun)
{
	shell("for c in a b; do " CRUN "delete --force $c; done; bpftool oom detach /");
	shell("rm -r " CONTAINERS);
	wait_until(!shell("cd " CGROUP_ROOT "; [ ! -d machine ] || rmdir machine"));
}

TEST_F_TIMEOUT(crun, priority_at_the_first_instruction, TEST_TIMEOUT_S)
{
	pid_t a, b;

	ASSERT_EQ(0, runtime_run("a", 8, variant->more, variant->unified))
		TH_LOG("%s", shell_output);
	ASSERT_EQ(0, runtime_run("b", 24, "", "")) TH_LOG("%s", shell_output);
	EXPECT_TRUE(wait_until(runtime_seen("a", "-100")));
	EXPECT_TRUE(wait_until(runtime_seen("b", "unset")));
	expect_priority("machine/a", "-100");
	expect_priority("machine/b", "unset");

	a = runtime_pid("a");
	b = runtime_pid("b");
	ASSERT_LT(0, a);
	ASSERT_LT(0, b);
	ASSERT_EQ(0, raise_oom_sysrq());
	EXPECT_TRUE(wait_until(strchr("Z?", process_state(a)) || strchr("Z?", process_state(b))));
	EXPECT_NE(NULL, strchr("Z?", process_state(a)));
	EXPECT_EQ(NULL, strchr("Z?", process_state(b)));
}

/* What the hook says of it crun keeps to itself. */
TEST_F_TIMEOUT(crun, not_started_with_a_bad_one, TEST_TIMEOUT_S)
{
	char more[512], *value;

	snprintf(more, sizeof(more), "%s", variant->more);
	value = strstr(more, "-100");
	if (!value)
		SKIP(return, "it is the runtime that writes");
	memcpy(value, "lots", 4);
	EXPECT_NE(0, runtime_run("a", 8, more, ""));
	EXPECT_NE(0, access(CONTAINERS "/a/rootfs/seen", F_OK));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
