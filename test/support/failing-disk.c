/*
 * Loaded into a service before the C library (failing-disk.ts): what is written to the write-ahead log of its journal
 * reaches the disk as the test says, by files in the folder FAILING_DISK.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *named(char *path, const char *name)
{
  snprintf(path, PATH_MAX, "%s/%s", getenv("FAILING_DISK"), name);
  return path;
}

static int is_log(int fd)
{
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path);
  return length > 4 && memcmp(path + length - 4, "-wal", 4) == 0;
}

static int fails(int fd)
{
  char path[PATH_MAX];
  if (!is_log(fd)) return 0;
  while (access(named(path, "hangs"), F_OK) == 0) {
    close(creat(named(path, "is-hanging"), 0600));
    usleep(10000);
  }
  return unlink(named(path, "fails-once")) == 0 || access(named(path, "fails"), F_OK) == 0;
}

static int sync_as(const char *name, int fd)
{
  if (fails(fd)) {
    errno = EIO;
    return -1;
  }
  int (*sync)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  return sync(fd);
}

int fsync(int fd) { return sync_as("fsync", fd); }
int fdatasync(int fd) { return sync_as("fdatasync", fd); }
