//===- Artifact.h - the file that a compilation produces --------*- C++ -*-===//
//
//   shared object | zeros to a page | weights | at least 64 zeros | blocks | trailer      embedded
//   shared object | zeros to a page           | at least 64 zeros          | trailer      with a side file:
//                                     weights | at least 64 zeros | blocks | trailer
//
// Blocks are digests of pieces of the weights; with those in the trailer (tw_trailer) they cover every byte.
// ArtifactDescription mirrors tw_descriptor (runtime/include/tilewright/artifact.h), field by field, in plain
// C++.
//===----------------------------------------------------------------------===//
#ifndef TILEWRIGHT_CODEGEN_ARTIFACT_ARTIFACT_H
#define TILEWRIGHT_CODEGEN_ARTIFACT_ARTIFACT_H

#include "codegen/target/Target.h"
#include "files/ReadFiles.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tilewright::codegen {

/// One dimension of an input or output; see tw_io_dim.
struct DimensionDescription {
  int64_t value = 0; ///< >= 0: a constant; -1: the symbol `symbol`; -2: an expression of symbols
  uint32_t symbol = 0;
  std::string text; ///< "batch", "past+1"; empty for constants
};
struct TensorDescription {
  std::string name;
  int32_t dtype = 0; ///< tw_dtype
  std::vector<DimensionDescription> dims;
  uint32_t buffer = 0;
  uint32_t squeezedDims = 0; ///< see tw_io_info::squeezed_dims
};
struct SymbolDescription {
  std::string name;
  int64_t min = 0, max = 0;
  bool definedByProgram = false;
};
/// See tw_buffer_info.
struct BufferDescription {
  uint32_t kind = 0; ///< TW_BUFFER_*
  uint32_t io = 0;
  uint32_t birth = 0, death = 0;
  uint32_t alias = UINT32_MAX;
  uint32_t align = 64;
  uint32_t site = 0;
};
struct SiteDescription {
  std::string node, op, tensor, sizes = {};
};

/// tw_descriptor. The functions are not here: another object defines the hidden symbols `tilewright_program`,
/// `tilewright_derive`, `tilewright_sizes` and `tilewright_output_dims`, with the signatures that
/// tw_descriptor gives them.
struct ArtifactDescription {
  uint32_t flags = 0;
  uint64_t cpuFeatures = 0; ///< TargetInfo::requiredCpuFeatures
  uint64_t weightBytes = 0;
  std::vector<TensorDescription> inputs, outputs;
  std::vector<SymbolDescription> symbols;
  std::vector<BufferDescription> buffers;
  std::vector<SiteDescription> sites;
  std::vector<std::string> launches; ///< kernel names
  std::string report = "{}";         ///< JSON
  /// Empty: the weights are embedded. Else the name, without folder, of the weights file written beside the
  /// artifact.
  std::string weightsFile;
};

/// The object that defines `tilewright_model`.
llvm::Expected<std::string> emitDescriptor(const ArtifactDescription &description, const TargetInfo &target);

/// Where the weights go: parts that do not overlap, in any order and from any thread. What no part covers is
/// zero. Every failure to write comes back as an error; hand it on.
class WeightSink {
public:
  virtual ~WeightSink() = default;
  /// `offset`: from tw_frame::weights.
  virtual llvm::Error write(uint64_t offset, llvm::ArrayRef<uint8_t> bytes) = 0;
};

/// Writes within the first ArtifactDescription::weightBytes bytes.
using WeightWriter = llvm::function_ref<llvm::Error(WeightSink &)>;

/// Where an artifact goes.
struct ArtifactPlace {
  ArtifactPlace(std::string path) : path(std::move(path)) {}
  std::string path;
  int descriptor = -1;   ///< >= 0: an open, empty file that is written instead; `path` is for messages
  files::ReadFiles read; ///< what must not be written over
};

/// Links `objects` with the descriptor and writes the artifact, and the weights file if one is named.
/// Nothing appears under the final names before it is whole, and nothing is left behind after an error.
/// Weights are streamed. Equal parts give equal files: the weights id is a digest of the parts and where they
/// lie. Errors: those of files::OutputFile (TW5011 to TW5014), TW9220 (the writer's parts overlap or reach
/// beyond the weights), and those of linkSharedObject() and of `writeWeights`.
llvm::Error writeArtifact(const ArtifactPlace &place, llvm::ArrayRef<llvm::StringRef> objects,
                          const ArtifactDescription &description, const TargetInfo &target,
                          WeightWriter writeWeights);

} // namespace tilewright::codegen

#endif // TILEWRIGHT_CODEGEN_ARTIFACT_ARTIFACT_H
