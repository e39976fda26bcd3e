/// Classical.h - what the operators of ai.onnx.ml share.
#pragma once
#include "frontend/ops/Composites.h"

namespace tilewright::frontend {

/// A constant vector of floats.
mlir::Value numberVector(NodeImporter &n, llvm::ArrayRef<double> values, mlir::Type element);
/// A list of floats; empty where the node has none.
llvm::SmallVector<double> numbersAttr(NodeImporter &n, llvm::StringRef name);
/// Operand 0 as [rows, columns] of f64 if it has such elements, else of f32. Null, with a diagnostic, where
/// it has no numbers or another rank.
mlir::Value features(NodeImporter &n);
/// What happens to scores [rows, classes] in the end; null, with a diagnostic, for unknown names.
mlir::Value postTransform(NodeImporter &n, mlir::Value scores, llvm::StringRef transform);
/// The classes' numbers, or their positions where they are strings and nobody asks.
std::optional<llvm::SmallVector<int64_t>> classLabels(NodeImporter &n, llvm::StringRef ints,
                                                      llvm::StringRef strings);
/// What the first of two classes gets where the trees, or the model, only score the second.
enum class FirstScore { Complement, Negative, Zero };
/// Sets a classifier's results: the label of the highest score, and the scores. With a threshold there is one
/// score for the second of two classes, and `first` for the other.
void giveClasses(NodeImporter &n, mlir::Value scores, llvm::ArrayRef<int64_t> labels,
                 llvm::StringRef transform, std::optional<double> threshold, FirstScore first);

} // namespace tilewright::frontend
