/* A stand-in for libtilewright-compiler: "compiles" every file to the artifact in fake/model.c, unless the
 * file's bytes ask for something else: fake:unsupported, fake:invalid, fake:lack, fake:internal, fake:crash,
 * fake:exit, fake:hang, fake:print. The driver's tests need no LLVM this way. */
#include "report.h"
#include "tilewright_compiler.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char content[65536];

static tw_status complain(const twc_options *options, tw_status status, const char *code, const char *message,
                          const char *node) {
  twc_diagnostic diagnostic = {status, code, message, "try another model", node, "Frobnicate", "t"};
  options->diagnostic(options->user, &diagnostic);
  return status;
}

/* To `descriptor` when it is above 0, else to the file `to`. */
static tw_status copyFile(const char *from, const char *to, int descriptor) {
  static char chunk[65536];
  FILE *source = fopen(from, "rb"),
       *target = descriptor > 0 ? fdopen(dup(descriptor), "wb") : fopen(to, "wb");
  if (!source || !target)
    return TW_IO;
  for (size_t count; (count = fread(chunk, 1, sizeof chunk, source)) > 0;)
    if (fwrite(chunk, 1, count, target) != count)
      return TW_IO;
  fclose(source);
  return fclose(target) == 0 ? TW_OK : TW_IO;
}

static tw_status examine(const char *model_path, const twc_options *options) {
  FILE *file = fopen(model_path, "rb");
  if (!file)
    return complain(options, TW_IO, "TW1001", "cannot read the model", "");
  size_t size = fread(content, 1, sizeof content, file);
  fclose(file);
  if (memmem(content, size, "fake:unsupported", 16)) {
    complain(options, TW_UNSUPPORTED, "TW1301", "first unsupported thing", "n1");
    return complain(options, TW_UNSUPPORTED, "TW1302", "second unsupported thing", "n2");
  }
  if (memmem(content, size, "fake:invalid", 12))
    return complain(options, TW_INVALID, "TW1101", "invalid thing", "n1");
  if (memmem(content, size, "fake:lack", 9))
    return complain(options, TW_IO, "TW5015", "out of memory", "");
  if (memmem(content, size, "fake:internal", 13))
    return TW_INTERNAL; /* without a diagnostic */
  if (memmem(content, size, "fake:print", 10))
    fputs("last words\n", stderr);
  if (memmem(content, size, "fake:crash", 10))
    raise(SIGSEGV);
  if (memmem(content, size, "fake:exit", 9))
    exit(1);
  if (memmem(content, size, "fake:hang", 9))
    sleep(600);
  return TW_OK;
}

static void say(const twc_options *options, const char *text) {
  options->text(options->user, text, strlen(text));
}

TW_API tw_status twc_compile(const char *model_path, const char *out_path, const twc_options *options) {
  tw_status status = examine(model_path, options);
  if (status != TW_OK)
    return status;
  if (!options->emit)
    return copyFile(FAKE_ARTIFACT, out_path, options->out_descriptor);
  char line[256];
  snprintf(line, sizeof line, "stage %s target %s precision %s weights %s threads %d memory %llu\n",
           options->emit, options->target, options->precision, options->weights, options->threads,
           (unsigned long long)options->max_memory);
  say(options, line);
  for (uint32_t i = 0; i < options->dim_count; ++i) {
    snprintf(line, sizeof line, "dim %s %lld..%lld\n", options->dims[i].name, (long long)options->dims[i].lo,
             (long long)options->dims[i].hi);
    say(options, line);
  }
  return TW_OK;
}

TW_API tw_status twc_check(const char *model_path, const twc_options *options) {
  return examine(model_path, options);
}

TW_API tw_status twc_inspect(const char *model_path, const twc_options *options) {
  tw_status status = examine(model_path, options);
  if (status == TW_OK)
    say(options, FAKE_REPORT);
  return status;
}

TW_API void twc_remove_temporaries(void) {}

TW_API const char *twc_version(void) { return "stand-in compiler"; }
