/// artifact.h - what a compiled artifact and the runtime say to each other.
///
/// The compiler emits one exported object, `tilewright_model` of type tw_descriptor, in a shared object that
/// imports nothing. The runtime maps the object, checks the descriptor and drives the program through it.
/// Written by codegen/artifact (in LLVM IR: keep the field order and the static layout in step with
/// codegen/artifact/Descriptor.cpp), read by runtime/. All structures are size-prefixed where they may grow,
/// and grow only at the end.
#ifndef TILEWRIGHT_ARTIFACT_H
#define TILEWRIGHT_ARTIFACT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TW_ABI_VERSION 4
#define TW_DESCRIPTOR_SYMBOL "tilewright_model"
#define TW_DESCRIPTOR_MAGIC 0x31305754u        /* "TW01" */
#define TW_TRAILER_MAGIC 0x324c414553575400ull /* "\0TWSEAL2" */

typedef struct tw_frame tw_frame;

/// Run-time failures that generated code reports. The runtime words the message; `a` and `b` are its numbers.
enum {
  TW_FAIL_INDEX = 1,      ///< index a is outside [-b, b)
  TW_FAIL_SHAPE = 2,      ///< dimension a where b was needed
  TW_FAIL_RESHAPE = 3,    ///< a elements cannot be reshaped into b
  TW_FAIL_SIZE = 4,       ///< a value a used as a size or count is negative or above the limit b
  TW_FAIL_MEMORY = 5,     ///< a bytes cannot be allocated; -1: more than 64 bits can count
  TW_FAIL_DIVIDE = 6,     ///< integer division by zero
  TW_FAIL_BRANCH = 7,     ///< a branch is taken in which this node cannot run
  TW_FAIL_ASSUMPTION = 9, ///< a condition or size is a where the program was compiled for b only
  TW_FAIL_AT_MOST = 10,   ///< size a where at most b fits
  TW_FAIL_AT_LEAST = 11,  ///< size a where at least b is needed
  /// Of checked artifacts (TW_ARTIFACT_CHECKED), and faults of the compiler:
  TW_FAIL_READ = 32,    ///< a read at byte a of a buffer of b bytes leaves it; it did not happen
  TW_FAIL_WRITE = 33,   ///< a write likewise
  TW_FAIL_RED_ZONE = 34 ///< byte a before or behind buffer b was overwritten
};

/// Bits of tw_descriptor::flags.
enum {
  TW_ARTIFACT_CHECKED = 1u << 0 ///< compiled for tests: the program reads tw_frame::extents, and the runtime
                                ///< keeps red zones between buffers
};

/// Functions the runtime lends to generated code. All may be called from every thread of the team unless said
/// otherwise; none throws.
typedef struct tw_host_table {
  uint32_t size; ///< bytes of this table
  uint32_t abi;
  /// Every thread of the team meets here. Returns non-zero when the run failed or was cancelled: the program
  /// then returns. The answer is decided once per meeting, by the last to arrive: all threads get the same.
  /// What any thread wrote before, frame->symbols and frame->buffers included, is visible to all after.
  int32_t (*barrier)(tw_frame *frame, int32_t thread);
  /// Record a failure (the first one wins); the caller goes on with some valid value until the next barrier.
  /// `site` indexes tw_descriptor::sites; -1: nowhere in particular. A failure after the last barrier still
  /// fails the run.
  void (*fail)(tw_frame *frame, int32_t code, int32_t site, int64_t a, int64_t b);
  /// Thread 0 only: give buffer `buffer` (kind TW_BUFFER_GROWABLE) at least `bytes` bytes; sets
  /// frame->buffers[buffer]. With `keep` the bytes that it had stay, else its contents are lost. Returns
  /// non-zero on failure (already recorded). The memory starts on a cache line, has 64 readable bytes behind
  /// it, and stays with the session: capacity at least doubles when it grows. Other threads see the new
  /// address after the next barrier. Before its first growth a growable buffer's address is valid for 0
  /// bytes.
  int32_t (*grow)(tw_frame *frame, uint32_t buffer, int64_t bytes, int32_t keep);
  /// Called before each launch when frame->profile is set. Only thread 0's calls count: the time until its
  /// next one, or the end of the program, belongs to `launch`.
  void (*mark)(tw_frame *frame, int32_t thread, uint32_t launch);
  /// Elementary functions that generated code does not inline: f64 in, f64 out. Indexed by TW_MATH_*.
  double (*const *math1)(double);
  double (*const *math2)(double, double);
  void *reserved[8]; ///< launch, copy, event, collective
} tw_host_table;

/// math1 indices
enum {
  TW_MATH_SIN,
  TW_MATH_COS,
  TW_MATH_TAN,
  TW_MATH_ASIN,
  TW_MATH_ACOS,
  TW_MATH_ATAN,
  TW_MATH_SINH,
  TW_MATH_COSH,
  TW_MATH_TANH,
  TW_MATH_ASINH,
  TW_MATH_ACOSH,
  TW_MATH_ATANH,
  TW_MATH_EXP,
  TW_MATH_LOG,
  TW_MATH_ERF,
  TW_MATH_LOG1P,
  TW_MATH_EXPM1,
  TW_MATH_LGAMMA,
  TW_MATH1_COUNT
};
/// math2 indices
enum { TW_MATH_POW, TW_MATH_ATAN2, TW_MATH_FMOD, TW_MATH2_COUNT };

/// One run, as generated code sees it. Every pointer is valid, also where there are no bytes behind it.
///
/// Arena buffers, growable buffers, scratch and weights start on cache lines (or as aligned as asked for) and
/// have 64 readable bytes of slack behind them, whose contents are undefined. Input and output buffers may be
/// the caller's: any alignment, no slack. Threads start with subnormals kept, rounding to nearest.
struct tw_frame {
  const tw_host_table *host;
  uint8_t **buffers; ///< [buffer_count] base addresses
  int64_t *symbols;  ///< [symbol_count] values of the symbolic dimensions, bound from inputs or stored by the
                     ///< program (until then: their maximum)
  const uint8_t *weights; ///< the constants, 64-byte aligned
  uint8_t **scratch;      ///< [threads] private scratch of scratch_bytes, 64-byte aligned
  int32_t failed;         ///< written by fail(); what counts is the answer of barrier()
  int32_t profile;        ///< non-zero: call host->mark(frame, thread, launch) before each launch
  const int64_t *extents; ///< [buffer_count + 1] bytes that may be read and written now, of each buffer and
                          ///< of a thread's scratch; null unless the artifact is TW_ARTIFACT_CHECKED
};

/// How a buffer gets its memory.
enum {
  TW_BUFFER_ARENA = 0,          ///< lives in the arena from launch `birth` to launch `death` (inclusive)
  TW_BUFFER_INPUT = 1,          ///< `io` names the input
  TW_BUFFER_OUTPUT = 2,         ///< `io` names the output; size known once inputs are bound
  TW_BUFFER_GROWABLE = 3,       ///< sized by the program through host->grow
  TW_BUFFER_GROWABLE_OUTPUT = 4 ///< as GROWABLE, and output `io` is read from it after the run
};

/// Aliases form chains; the buffer at the end decides about the memory. In the arena it lives from the
/// earliest birth to the latest death of all that lead to it. An output whose chain ends in an arena buffer,
/// an input or another output is copied after the run.
typedef struct tw_buffer_info {
  uint32_t kind;
  uint32_t io;
  uint32_t birth;
  uint32_t death;
  uint32_t alias; ///< another buffer whose memory this one is, or UINT32_MAX. An output aliased to an input
                  ///< is copied by the runtime after the run.
  uint32_t align; ///< a power of two up to 4096; what is below 64 counts as 64
  uint32_t site;  ///< growable ones: 1 + the site to name when it cannot grow; 0: none
} tw_buffer_info;

typedef struct tw_io_dim {
  int64_t value; ///< >= 0: a constant; -1: the symbol `symbol`; -2: an expression of symbols (outputs only)
  uint32_t symbol;
  uint32_t pad;
  const char *text; ///< "batch", "past+1"; null for constants
} tw_io_dim;

typedef struct tw_io_info {
  const char *name;
  int32_t dtype; ///< tw_dtype
  int32_t rank;  ///< 0 .. TW_MAX_RANK
  const tw_io_dim *dims;
  uint32_t buffer;
  uint32_t squeezed_dims; ///< outputs only; bit d: dimension d is left out of the shape that the caller sees
                          ///< when it is 1
} tw_io_info;

typedef struct tw_symbol_info {
  const char *name;
  int64_t min, max;           ///< inclusive range the code is compiled for
  int32_t defined_by_program; ///< non-zero: not bound from inputs
  int32_t pad;
} tw_symbol_info;

/// Where a run-time failure happened.
typedef struct tw_site_info {
  const char *node;
  const char *op;
  const char *tensor;
  const char *sizes; ///< what the sizes are that do not fit; empty where nothing is known of them
} tw_site_info;

typedef struct tw_launch_info {
  const char *kernel;
} tw_launch_info;

/// What architectures are called, by e_machine of the ELF header.
#define TW_ARCHITECTURES(X) X(62, "x86_64") X(183, "aarch64")

/// What an artifact needs of a processor, tw_descriptor::cpu_features: its architecture in the upper byte,
/// which is also what the ELF header says, and below it features of that architecture.
#define TW_CPU_ARCHITECTURE(features) ((features) >> 56)
#define TW_CPU_X86_64 (UINT64_C(0) << 56)
#define TW_CPU_AARCH64 (UINT64_C(1) << 56) /* NEON included */

/// Features of TW_CPU_X86_64.
enum {
  TW_X86_AVX2 = 1u << 0,   ///< AVX2 + FMA + F16C + BMI2: the base level, x86-64-v3
  TW_X86_AVX512 = 1u << 1, ///< F, BW, CD, DQ, VL
  TW_X86_AVX512_VNNI = 1u << 2,
  TW_X86_AVX512_BF16 = 1u << 3,
  TW_X86_AVX512_FP16 = 1u << 4,
  TW_X86_AVX_VNNI = 1u << 5,
  TW_X86_AMX_INT8 = 1u << 6,
  TW_X86_AMX_BF16 = 1u << 7
};

/// Features of TW_CPU_AARCH64.
enum {
  TW_AARCH64_DOTPROD = 1u << 0 ///< SDOT, UDOT
};

typedef struct tw_descriptor {
  uint32_t magic;
  uint32_t size;
  uint32_t abi;
  uint32_t flags;
  uint64_t cpu_features;
  uint64_t weight_bytes;
  uint32_t input_count, output_count, symbol_count, buffer_count, site_count, launch_count;
  const tw_io_info *inputs;
  const tw_io_info *outputs;
  const tw_symbol_info *symbols;
  const tw_buffer_info *buffers;
  const tw_site_info *sites;
  const tw_launch_info *launches;
  const char *report; ///< JSON
  /// The whole model, walked by every thread of the team. All threads must pass the same barriers in the same
  /// order.
  void (*program)(tw_frame *frame, int32_t thread, int32_t threads);
  /// Fills in the symbols that follow from those of the inputs: min, max, sums ... of them. Called once for
  /// each run, when those are bound, before everything that follows. Null: there are none.
  void (*derive)(int64_t *symbols);
  /// bytes[0..buffer_count): size of each buffer (0 for inputs, growable ones and aliases);
  /// bytes[buffer_count]: scratch per thread. A size that overflows must come out negative: the run is then
  /// refused with TW4301. Symbols defined by the program are at their maximum here. Called when dimensions
  /// are met for the first time; must not depend on anything but `symbols`.
  void (*sizes)(const int64_t *symbols, int64_t *bytes);
  /// All dimensions of all outputs, one after the other. Called before the run for outputs of kind OUTPUT,
  /// after it for all. For an OUTPUT buffer, sizes() must not exceed the bytes of these dimensions: the
  /// buffer may be the caller's.
  void (*output_dims)(const int64_t *symbols, int64_t *dims);
  const char *weights_file; ///< null: embedded; else the file name, in the artifact's folder
  uint8_t weights_id[16];   ///< equal in the trailer of the file that has the weights
} tw_descriptor;

/// A part of the weights. What no block covers is zero.
typedef struct tw_block {
  uint64_t offset; ///< from the start of the weights
  uint64_t bytes;
  uint64_t digest[2]; ///< digest.hpp
} tw_block;

/// Ends every file: an artifact, and a side weights file, which has no code.
///
///   shared object | zeros to a page | weights | at least 64 zeros | tw_block[block_count] | tw_trailer
///
/// Every byte is covered: by a digest, or by having to be zero. So a changed bit is found, whatever it means.
typedef struct tw_trailer {
  uint64_t magic;
  uint64_t file_bytes; ///< all of it
  uint64_t code_bytes; ///< the shared object
  uint64_t code_digest[2];
  uint64_t weights_offset;             ///< from the start of the file, a multiple of 4096
  uint64_t weight_bytes;               ///< 0 in an artifact whose weights are elsewhere
  uint64_t blocks_offset, block_count; ///< in the order of their offsets
  uint64_t blocks_digest[2];
  uint8_t weights_id[16]; ///< ties code and weights of one compilation together
  uint64_t owner;     ///< of side weights: digest of the artifact's file name, for whoever writes the next
  uint64_t digest[2]; ///< of all before, in this trailer
} tw_trailer;

#ifdef __cplusplus
}
#endif
#endif
