/* limited LIMIT=VALUE... COMMAND...: run a command with little of something. as, data, fsize, stack: bytes;
 * nproc: processes and threads, for which root becomes nobody, whom the limit binds; signal=NUMBER
 * after=MILLISECONDS: interrupt it. Exits as the command does, by 128 + n when it died of signal n. */
#define _GNU_SOURCE
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct {
  const char *name;
  int resource;
} limits[] = {{"as=", RLIMIT_AS},
              {"data=", RLIMIT_DATA},
              {"fsize=", RLIMIT_FSIZE},
              {"stack=", RLIMIT_STACK},
              {"nproc=", RLIMIT_NPROC}};

static int apply(const char *word) {
  for (size_t i = 0; i < sizeof limits / sizeof *limits; ++i) {
    size_t length = strlen(limits[i].name);
    if (strncmp(word, limits[i].name, length) != 0)
      continue;
    rlim_t value = strtoull(word + length, NULL, 10);
    struct rlimit limit = {value, value};
    if (setrlimit(limits[i].resource, &limit) != 0)
      return -1;
    if (limits[i].resource == RLIMIT_NPROC && getuid() == 0)
      return setgroups(0, NULL) || setgid(65534) || setuid(65534) ? -1 : 1;
    return 1;
  }
  return 0;
}

int main(int count, char **words) {
  int number = 0, next = 1;
  long after = 0;
  for (; next < count; ++next) {
    if (strncmp(words[next], "signal=", 7) == 0)
      number = atoi(words[next] + 7);
    else if (strncmp(words[next], "after=", 6) == 0)
      after = atol(words[next] + 6);
    else
      break;
  }
  pid_t child = fork();
  if (child == 0) {
    for (int applied; (applied = apply(words[next])) != 0; ++next)
      if (applied < 0) {
        perror(words[next]);
        _exit(126);
      }
    execv(words[next], words + next);
    perror(words[next]);
    _exit(127);
  }
  if (number) {
    struct timespec pause = {after / 1000, after % 1000 * 1000000};
    nanosleep(&pause, NULL);
    kill(child, number);
  }
  int status;
  if (waitpid(child, &status, 0) < 0)
    return 125;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
