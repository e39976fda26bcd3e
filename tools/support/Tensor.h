/// Tensor.h - a dense tensor in host memory, and what its elements mean.
///
/// Elements are row-major and in this machine's byte order. As at the C interface, a sub-byte element takes
/// one byte (int4 and int2 sign-extended; uint4, uint2 and float4e2m1 in the low bits).
#pragma once

#include "File.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tilewright::tools {

struct Tensor {
  tw_dtype dtype = TW_UNDEFINED;
  std::vector<int64_t> shape;
  Bytes bytes;                      ///< the elements; empty for strings
  std::vector<std::string> strings; ///< the elements of a string tensor, UTF-8

  size_t elementCount() const;
};

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// The product of `shape`; nothing when a dimension is negative, or the bytes of all elements pass 2^62 even
/// with the zero dimensions left out.
std::optional<size_t> checkedElementCount(const std::vector<int64_t> &shape, size_t elementBytes);

/// "float32[2,3]"
std::string typeText(tw_dtype dtype, const std::vector<int64_t> &shape);

bool isFloat(tw_dtype dtype); ///< every real floating-point type, float8 and float4 included
bool isComplex(tw_dtype dtype);
/// The NumPy type that carries `dtype` in a file: itself, or an integer of the same width where NumPy has
/// none.
tw_dtype carrierOf(tw_dtype dtype);

/// Element `index` of a real tensor as a double. Exact except for 64-bit integers above 2^53.
double elementAsDouble(tw_dtype dtype, const std::byte *elements, size_t index);

/// Store `value` as element `index`, rounded to nearest even (floats) or towards zero (integers, which must
/// fit). For floats of 16 bits and more, integers and bool.
void storeElement(tw_dtype dtype, std::byte *elements, size_t index, double value);

/// Element `index` as a short text: "1.5", "-3", "true", "'word'", "1+2j".
std::string elementText(const Tensor &tensor, size_t index);

} // namespace tilewright::tools
