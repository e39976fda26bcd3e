/// tilewright.h - the C interface of the Tilewright runtime.
///
/// A *model* is a compiled artifact (`tilewright compile MODEL.onnx -o MODEL.so`): immutable once loaded and
/// shared by any number of threads. A *session* is one caller's state on a model (memory plan, arena, thread
/// team): one thread at a time. Nothing here throws or aborts; every fallible call returns a tw_status and,
/// where `error` is not null, fills it. Structures that carry `struct_size` grow only at their end: set it to
/// sizeof before the call. Fields behind `struct_size` bytes are not read. Null pointers to models and
/// sessions are refused or ignored, never followed.
///
/// An artifact is code: loading one runs it with the rights of the process. The checks at load catch mistakes
/// (a wrong, damaged, truncated or outdated file), not malice.
#ifndef TILEWRIGHT_H
#define TILEWRIGHT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TW_API __attribute__((visibility("default")))
#define TW_VERSION_MAJOR 0
#define TW_VERSION_MINOR 1
#define TW_MAX_RANK 16

/// Whose fault a failure is, and the driver's exit code for it.
typedef enum tw_status {
  TW_OK = 0,
  TW_UNSUPPORTED = 3, ///< the model or the request uses something this version does not do
  TW_INVALID = 4,     ///< the model or an input is wrong
  TW_IO = 5,          ///< a file cannot be read, written or mapped; memory cannot be had
  TW_CANCELLED = 6,   ///< tw_session_cancel was called
  TW_INTERNAL = 70    ///< our own bug
} tw_status;

/// What went wrong. `code` is stable ("TW1203"); `node`, `op` and `tensor` name the place in the ONNX model,
/// or are empty. After a call that succeeded: TW_OK and empty strings. Codes of the runtime: TW40xx the
/// artifact file, TW41xx sessions and threads, TW42xx inputs and outputs, TW43xx memory, TW44xx failures
/// during a run, TW45xx misuse of this interface, TW94xx our own bug.
typedef struct tw_error {
  tw_status status;
  char code[12];
  char message[1024];
  char node[256];
  char op[64];
  char tensor[256];
} tw_error;

/// An enumeration that C++ lets hold any number a caller may pass, so that it can be looked at and refused.
#ifdef __cplusplus
#define TW_OPEN_ENUM : int32_t
#else
#define TW_OPEN_ENUM
#endif

/// Element types; the values are ONNX's TensorProto.DataType.
typedef enum tw_dtype TW_OPEN_ENUM {
  TW_UNDEFINED = 0,
  TW_F32 = 1,
  TW_U8 = 2,
  TW_I8 = 3,
  TW_U16 = 4,
  TW_I16 = 5,
  TW_I32 = 6,
  TW_I64 = 7,
  TW_STRING = 8,
  TW_BOOL = 9,
  TW_F16 = 10,
  TW_F64 = 11,
  TW_U32 = 12,
  TW_U64 = 13,
  TW_C64 = 14,
  TW_C128 = 15,
  TW_BF16 = 16,
  TW_F8E4M3FN = 17,
  TW_F8E4M3FNUZ = 18,
  TW_F8E5M2 = 19,
  TW_F8E5M2FNUZ = 20,
  TW_U4 = 21,
  TW_I4 = 22,
  TW_F4E2M1 = 23,
  TW_F8E8M0 = 24,
  TW_U2 = 25,
  TW_I2 = 26
} tw_dtype;

/// Bytes of one element in memory; sub-byte types occupy one byte per element at this interface. 0 for
/// strings, TW_UNDEFINED and values that are no tw_dtype.
TW_API uint32_t tw_dtype_bytes(tw_dtype dtype);
/// "float32", "int4", "bool" ...; "undefined" for values that are no tw_dtype. Never null.
TW_API const char *tw_dtype_name(tw_dtype dtype);

typedef struct tw_device {
  int32_t kind; ///< 0: CPU, 1: CUDA
  int32_t id;
} tw_device;

/// A view of memory. `shape` and `strides` count elements; `strides` may be null (row-major), and may be zero
/// or negative (then `data` points to the element whose indices are all 0). The memory belongs to whoever
/// made it. Any alignment is accepted. Inputs that are not row-major are copied on every run. `flags` and
/// `reserved` must be 0.
typedef struct tw_tensor {
  void *data;
  tw_dtype dtype;
  int32_t rank;
  int64_t shape[TW_MAX_RANK];
  const int64_t *strides;
  tw_device device;
  uint32_t flags;
  uint32_t reserved;
} tw_tensor;

typedef struct tw_model tw_model;
typedef struct tw_session tw_session;

/// tw_load_options::flags. Code, tables and sizes are compared with their digests at every load: about 0.1 ms
/// per MB. Weights are, too, up to 64 MB; one of these says otherwise.
enum {
  TW_LOAD_CHECK_WEIGHTS = 1, ///< weights of any size: every byte is read
  TW_LOAD_TRUST_WEIGHTS = 2  ///< none: for a file that was checked, or written, a moment ago
};

typedef struct tw_load_options {
  uint32_t struct_size;
  uint32_t flags;           ///< TW_LOAD_*
  const char *weights_path; ///< the weights file of a `--weights=side` artifact, or its folder; null: beside
                            ///< the artifact
} tw_load_options;

/// Map the artifact at `path`. Refused, never crashed on: a file that is no artifact, one of another ABI
/// version, one whose CPU features this machine lacks, and one that differs from what was compiled in size or
/// in any bit of code or weights (weights above 64 MB: see TW_LOAD_CHECK_WEIGHTS). `options` may be null. On
/// failure `*model` is null. The file must not be overwritten in place while the model lives; replacing it
/// (write another, rename) is safe, and a load after that gets the new one. Thread-safe.
TW_API tw_status tw_model_load(const char *path, const tw_load_options *options, tw_model **model,
                               tw_error *error);
/// Release a model. Sessions on it stay usable: the last of them releases the memory. Null is ignored.
TW_API void tw_model_free(tw_model *model);

/// One dimension of an input or output: a constant when value >= 0; else a symbol or expression, printed in
/// `text` (such as "batch" or "past+1").
typedef struct tw_dim {
  int64_t value;
  const char *text;
} tw_dim;

typedef struct tw_tensor_info {
  const char *name;
  tw_dtype dtype;
  int32_t rank; ///< -1 when only known at run time
  const tw_dim *dims;
} tw_tensor_info;

TW_API uint32_t tw_model_input_count(const tw_model *model);
TW_API uint32_t tw_model_output_count(const tw_model *model);
/// Null when `index` is out of range. The strings live as long as the model.
TW_API const tw_tensor_info *tw_model_input(const tw_model *model, uint32_t index);
TW_API const tw_tensor_info *tw_model_output(const tw_model *model, uint32_t index);
/// A JSON report written by the compiler: target, kernels with FLOPs, bytes and schedule, memory plan, node
/// map.
TW_API const char *tw_model_report(const tw_model *model);
/// Bytes of code (the shared object without its appendix) and of weights.
TW_API uint64_t tw_model_code_bytes(const tw_model *model);
TW_API uint64_t tw_model_weight_bytes(const tw_model *model);
/// The side weights file in use, as found; null when the weights are in the artifact. Lives as long as the
/// model.
TW_API const char *tw_model_weights_path(const tw_model *model);

typedef struct tw_session_options {
  uint32_t struct_size;
  int32_t threads; ///< size of the thread team, the caller included; 0: all cores this process may run on
  uint64_t flags;  ///< must be 0
} tw_session_options;

/// Start a session and its thread team. `options` may be null. At most 1024 threads. Thread-safe: any number
/// of sessions may share a model, and may run at the same time. Workers sleep between runs and block all
/// signals but those that a thread causes itself (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS).
/// After fork() a session of more than one thread cannot run in the child (TW4503): its threads are in the
/// parent. The child may free it, and create another on the same model.
TW_API tw_status tw_session_create(tw_model *model, const tw_session_options *options, tw_session **session,
                                   tw_error *error);
/// End a session: its threads, and the memory of outputs it owns. No run may be in progress. Null is ignored.
TW_API void tw_session_free(tw_session *session);

/// Plan and allocate memory for inputs of these shapes ahead of the first run; later runs with these shapes
/// allocate nothing (except for outputs whose size the program finds out). `data` of the inputs may be null.
/// Plans of the last 8 sets of dimensions are kept, memory only grows.
TW_API tw_status tw_session_reserve(tw_session *session, const tw_tensor *inputs, uint32_t input_count,
                                    tw_error *error);

/// Run the model once. `inputs` are in the model's order. `outputs[i].data`, when not null, is the caller's
/// dense buffer with room for the result (its dtype and shape must match what the model computes); when null,
/// it is set to memory of the session, valid until the next run, tw_session_reserve or tw_session_free.
/// dtype, rank and shape are filled in either way. An output buffer may overlap inputs (the result is then
/// copied there at the end), but not other outputs. The caller is thread 0 of the team: its
/// floating-point mode is the program's meanwhile (round to nearest, no traps; subnormal numbers are kept,
/// but count as zero in products), and restored after. After a failure the contents of output buffers are
/// undefined, and the session can be used again.
TW_API tw_status tw_session_run(tw_session *session, const tw_tensor *inputs, uint32_t input_count,
                                tw_tensor *outputs, uint32_t output_count, tw_error *error);

/// Ask the run in progress on another thread to stop at its next barrier: it returns TW_CANCELLED. Without a
/// run in progress, or one past its last barrier, nothing happens. The only call allowed during a run.
TW_API void tw_session_cancel(tw_session *session);

/// Called on the caller's thread after a profiled run that succeeded, in program order, once for each launch
/// that was executed; `nanoseconds` adds up its executions (inside loops there may be many), waiting for the
/// other threads included.
typedef void (*tw_profile_callback)(void *user, uint32_t launch, const char *kernel, uint64_t nanoseconds);
/// Time each launch of later runs and report it; null switches it off.
TW_API void tw_session_profile(tw_session *session, tw_profile_callback callback, void *user);
/// Bytes of address space the session holds now: arena, per-thread scratch, its own outputs, dense copies of
/// inputs.
TW_API uint64_t tw_session_memory_bytes(const tw_session *session);
/// Bytes that intermediate results take, sharing memory as their lifetimes allow, for the sizes of the last
/// run or tw_session_reserve. Results whose size the program finds out come on top.
TW_API uint64_t tw_session_arena_bytes(const tw_session *session);

/// "0.1.0"
TW_API const char *tw_version(void);

#ifdef __cplusplus
}
#endif
#endif
