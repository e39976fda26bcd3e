/// tilewright_compiler.h - the C interface of libtilewright-compiler: ONNX in, artifact out.
///
/// The driver opens the library with dlopen only when it compiles. Calls are thread-safe and independent of
/// each other. What is no model path and what options cannot hold is refused (TW_INVALID, TW4501).
#ifndef TILEWRIGHT_COMPILER_H
#define TILEWRIGHT_COMPILER_H

#include "tilewright.h"

#ifdef __cplusplus
extern "C" {
#endif

/// One dimension override: `--dim NAME=lo..hi` (lo == hi fixes it).
typedef struct twc_dim {
  const char *name;
  int64_t lo, hi;
} twc_dim;

/// One problem with the model. Strings live during the callback only.
typedef struct twc_diagnostic {
  tw_status status;    ///< TW_UNSUPPORTED, TW_INVALID, TW_IO or TW_INTERNAL; TW_OK: a warning, nothing stops
  const char *code;    ///< "TW1203"
  const char *message; ///< one line: what is wrong, with shapes and types
  const char *hint;    ///< what to do next, or ""
  const char *node, *op, *tensor;
} twc_diagnostic;

enum {
  /// Kernels compute what is known when compiling, as they compute everything else; the compiler itself does
  /// not. Slower; it shows which of the two is wrong.
  TWC_NO_FOLDING = 1
};

/// Grows only at its end; fields behind `struct_size` bytes are not read.
typedef struct twc_options {
  uint32_t struct_size;
  int32_t threads; ///< compilation threads; 0: all cores
  const char
      *target; ///< "cpu" (this machine), "cpu:haswell", "cpu:skylake-avx512", "cuda:sm_80"; null: "cpu"
  const char *precision; ///< "default" or "strict"; null: "default"
  const char *weights;   ///< "embed" or "side"; null: "embed"
  const char *emit;      ///< null: an artifact; else "graph", "tensor", "program", "loops", "llvm",
                         ///< "asm", "ptx": text
  uint64_t max_memory;   ///< bytes: refuse models whose planned run memory is above this; 0: no limit. A
                         ///< compilation may take as much beyond the weights, and 2 GB at least
  const twc_dim *dims;
  uint32_t dim_count;
  uint32_t flags;        ///< TWC_NO_FOLDING, or 0
  const char *cache_dir; ///< null: TILEWRIGHT_CACHE_DIR, else ~/.cache/tilewright; "": no cache
  void *user;            ///< handed to the callbacks, which may come from any thread but never two at once
  void (*diagnostic)(void *user, const twc_diagnostic *diagnostic);
  void (*progress)(void *user, const char *stage, uint32_t done, uint32_t total);
  /// Text results (emit, check, inspect) are handed over in pieces.
  void (*text)(void *user, const char *bytes, size_t count);
  /// A file that the caller will write when the call has returned, or null: refused (TW5014) when the model
  /// is read from it. Whoever calls cannot know which files a model refers to.
  const char *result_path;
  /// Above 0: an empty file, open for writing, that takes the artifact; it stays open, `out_path` is for
  /// messages only, and the weights are embedded.
  int32_t out_descriptor;
  /// Seconds after which a compilation or a check is stopped (TW_UNSUPPORTED); 0: 60, and more for what large
  /// models need: 0.1 for each node and one for each 10 MB of the model's files.
  double max_seconds;
  /// Null, or JSON: how single kernels are computed, in place of the default choice, as twc_inspect prints it
  /// ("schedules"). What is not legal for its kernel is refused (TW3601, TW3602).
  const char *schedules;
} twc_options;

/// Compile `model_path` into `out_path`, which appears when it is whole; with weights "side", also its
/// weights file: the name with `.weights` for a last `.so`, or behind it. Neither may be a file that the
/// model is read from, and the weights go over no file but an earlier one of the same artifact (TW5014). With
/// options->emit the text goes to options->text, and `out_path` may be null.
TW_API tw_status twc_compile(const char *model_path, const char *out_path, const twc_options *options);
/// Report every unsupported or invalid node through options->diagnostic; compiles nothing. TW_OK when there
/// is none.
TW_API tw_status twc_check(const char *model_path, const twc_options *options);
/// Describe the model before and after fusion as JSON through options->text: inputs, outputs, graph, kernels,
/// memory plan.
TW_API tw_status twc_inspect(const char *model_path, const twc_options *options);
/// Remove the temporary files of compilations in progress. Async-signal-safe: for handlers of signals that
/// end the process.
TW_API void twc_remove_temporaries(void);
/// "tilewright 0.1.0 (LLVM 22.1.8)"
TW_API const char *twc_version(void);

#ifdef __cplusplus
}
#endif
#endif
