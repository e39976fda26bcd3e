/// Operators.cpp - the one list of families.
#include "frontend/GraphImporter.h"

namespace tilewright::frontend {

static llvm::StringMap<ImportFunction> collect() {
  llvm::StringMap<ImportFunction> rows;
  for (auto family :
       {elementwiseOps, activationOps, movementOps,      sliceOps,     indexingOps,     resizeOps,
        samplingOps,    detectionOps,  reductionOps,     generatorOps, controlOps,      sequenceOps,
        contractionOps, poolingOps,    normalizationOps, recurrentOps, quantizationOps, attentionOps,
        signalOps,      trainingOps,   classicalOps,     fusedOps})
    for (const OpEntry &entry : family())
      rows[(entry.domain + ":" + entry.name).str()] = entry.function;
  return rows;
}

const llvm::StringMap<ImportFunction> &operators() {
  static const llvm::StringMap<ImportFunction> rows = collect();
  return rows;
}

} // namespace tilewright::frontend
