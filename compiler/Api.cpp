// The C interface over Compilation. Nothing throws or aborts through it.
#include "compiler/Compilation.h"
#include "files/OutputFile.h"
#include "tilewright_compiler.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/ErrorHandling.h"
#include <cstring>
#include <exception>
#include <mutex>
#include <system_error>

using namespace tilewright;
using compiler::Compilation;
using frontend::Diagnostic;

namespace {

/// Serialises callbacks and remembers the worst status.
struct Reporter {
  const twc_options user;
  std::mutex mutex = {};
  tw_status status = TW_OK;

  static tw_status statusOf(Diagnostic::Kind kind) {
    switch (kind) {
    case Diagnostic::Unsupported:
      return TW_UNSUPPORTED;
    case Diagnostic::Invalid:
      return TW_INVALID;
    case Diagnostic::Io:
      return TW_IO;
    case Diagnostic::Warning:
      return TW_OK;
    default:
      return TW_INTERNAL;
    }
  }

  void report(const Diagnostic &d) {
    std::lock_guard<std::mutex> lock(mutex);
    tw_status one = statusOf(d.kind);
    status = std::max(status, one);
    twc_diagnostic plain{one,          d.code.c_str(),  d.message.c_str(), d.hint.c_str(), d.node.c_str(),
                         d.op.c_str(), d.tensor.c_str()};
    if (user.diagnostic)
      user.diagnostic(user.user, &plain);
  }
};

/// What the caller's structure holds, and zeros behind that: its fields there are not read. Every version's
/// structure ends on eight bytes.
twc_options completed(const twc_options *from) {
  twc_options all = {};
  if (from)
    memcpy(&all, from, std::min<size_t>(from->struct_size / 8 * 8, sizeof all));
  return all;
}

bool isAmong(const char *value, std::initializer_list<llvm::StringRef> known) {
  return !value || llvm::is_contained(known, llvm::StringRef(value));
}

/// What is wrong with a call, or null.
const char *misuseOf(const char *modelPath, const twc_options &options) {
  if (!modelPath)
    return "model_path must not be null";
  if (options.threads < 0)
    return "threads must not be negative";
  if (options.flags & ~uint32_t(TWC_NO_FOLDING))
    return "flags has bits that this version does not know";
  if (!isAmong(options.precision, {"default", "strict"}))
    return "precision must be 'default' or 'strict'";
  if (!isAmong(options.weights, {"embed", "side"}))
    return "weights must be 'embed' or 'side'";
  if (!isAmong(options.emit, {"", "graph", "tensor", "program", "loops", "llvm", "asm", "ptx"}))
    return "emit must be 'graph', 'tensor', 'program', 'loops', 'llvm', 'asm' or 'ptx'";
  if (!(options.max_seconds >= 0))
    return "max_seconds must not be negative";
  auto named = [](const twc_dim &dim) { return dim.name != nullptr; };
  if (options.dim_count &&
      (!options.dims || !llvm::all_of(llvm::ArrayRef(options.dims, options.dim_count), named)))
    return "dims and their names must not be null";
  return nullptr;
}

compiler::Options translate(Reporter &reporter) {
  const twc_options *from = &reporter.user;
  compiler::Options to;
  to.diagnostic = [&reporter](const Diagnostic &d) { reporter.report(d); };
  to.text = [from](llvm::StringRef bytes) {
    if (from->text)
      from->text(from->user, bytes.data(), bytes.size());
  };
  to.progress = [from](llvm::StringRef stage, unsigned done, unsigned total) {
    if (from->progress)
      from->progress(from->user, stage.str().c_str(), done, total);
  };
  auto text = [](const char *value, const char *fallback) { return std::string(value ? value : fallback); };
  to.target = text(from->target, "cpu");
  to.precision = text(from->precision, "default");
  to.emit = text(from->emit, "");
  to.sideWeights = text(from->weights, "embed") == "side";
  to.threads = std::max(0, from->threads);
  to.maxMemory = from->max_memory;
  to.fold = !(from->flags & TWC_NO_FOLDING);
  to.maxSeconds = from->max_seconds;
  for (uint32_t i = 0; i < from->dim_count; ++i)
    to.dims.push_back({from->dims[i].name, from->dims[i].lo, from->dims[i].hi});
  if (from->cache_dir)
    to.cacheDir = from->cache_dir;
  to.schedules = text(from->schedules, "");
  if (from->result_path)
    to.resultPath = from->result_path;
  if (from->out_descriptor > 0) {
    to.outDescriptor = from->out_descriptor;
    to.sideWeights = false;
  }
  return to;
}

/// LLVM would end the process. As operator new does: the program's handler first.
void throwBadAlloc(void *, const char *, bool) {
  if (auto handler = std::get_new_handler())
    handler();
  throw std::bad_alloc();
}

template <class Body> tw_status guarded(const char *modelPath, const twc_options *options, Body body) {
  Reporter reporter{completed(options)};
  static std::once_flag once;
  std::call_once(once, [] { llvm::install_bad_alloc_error_handler(throwBadAlloc); });
  Diagnostic problem{};
  problem.kind = Diagnostic::Internal;
  problem.code = "TW9000";
  if (const char *misuse = misuseOf(modelPath, reporter.user)) {
    problem.kind = Diagnostic::Invalid;
    problem.code = "TW4501";
    problem.message = misuse;
    reporter.report(problem);
    return reporter.status;
  }
  try {
    if (!body(reporter) && reporter.status == TW_OK) {
      problem.message = "the compiler stopped without a reason";
      reporter.report(problem);
    }
  } catch (const std::bad_alloc &) {
    problem.kind = Diagnostic::Io;
    problem.code = "TW5015";
    problem.message = "out of memory";
    reporter.report(problem);
  } catch (const std::system_error &e) { // a thread, or a lock, that the system refuses
    problem.kind = Diagnostic::Io;
    problem.code = "TW5016";
    problem.message = std::string("the system lacks something that compiling needs: ") + e.what();
    problem.hint = "allow more threads, processes or memory";
    reporter.report(problem);
  } catch (const std::exception &e) {
    problem.message = e.what();
    reporter.report(problem);
  }
  return reporter.status;
}

} // namespace

extern "C" {

tw_status twc_compile(const char *modelPath, const char *outPath, const twc_options *options) {
  return guarded(modelPath, options, [&](Reporter &reporter) {
    compiler::Options translated = translate(reporter);
    translated.outPath = outPath ? outPath : "";
    translated.compiles = true;
    std::string emit = translated.emit;
    auto compilation = std::make_unique<Compilation>(std::move(translated));
    if (!compilation->import(modelPath) || !compilation->lower(emit == "graph"))
      return false;
    if (!emit.empty())
      return compilation->emitText();
    return compilation->compileKernels() && compilation->writeArtifact();
  });
}

tw_status twc_check(const char *modelPath, const twc_options *options) {
  return guarded(modelPath, options, [&](Reporter &reporter) {
    return std::make_unique<Compilation>(translate(reporter))->import(modelPath);
  });
}

tw_status twc_inspect(const char *modelPath, const twc_options *options) {
  return guarded(modelPath, options, [&](Reporter &reporter) {
    compiler::Options translated = translate(reporter);
    auto text = translated.text;
    auto compilation = std::make_unique<Compilation>(std::move(translated));
    if (!compilation->import(modelPath) || !compilation->lower())
      return false;
    text(compilation->report());
    return true;
  });
}

void twc_remove_temporaries(void) { files::removeTemporaries(); }

const char *twc_version(void) { return "tilewright 0.1.0 (LLVM " LLVM_VERSION_STRING ")"; }

} // extern "C"
