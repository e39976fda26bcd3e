/// Substitute.h - attribute references in the bodies of functions.
#pragma once
#include "frontend/reader/OnnxModel.h"

namespace tilewright::onnx {

/// Whether the node, or one in its subgraphs, refers to an attribute of the function around it.
bool refersToAttributes(const Node &node);

/// A copy of `node` (of a function body) in which every attribute reference, also inside its subgraphs, is
/// replaced by the attribute of the calling node, else by the function's default; references to attributes
/// that neither gives are dropped, as ONNX says. Fails when the kinds disagree, the reference names no
/// attribute of the function, or the copy takes more bytes than `allowance`, from which it is taken: graphs
/// that functions hand on by attribute can double at every level.
Result<Node> substituteAttributes(const Node &node, const Node &call, const Function &function,
                                  uint64_t &allowance);

} // namespace tilewright::onnx
