#include "tilewright.h"

namespace {

struct DtypeInfo {
  const char *name;
  uint32_t bytes;
};

/// Indexed by tw_dtype. Sub-byte types take a byte per element at this interface.
constexpr DtypeInfo dtypes[] = {
    {"undefined", 0},      {"float32", 4},  {"uint8", 1},        {"int8", 1},           {"uint16", 2},
    {"int16", 2},          {"int32", 4},    {"int64", 8},        {"string", 0},         {"bool", 1},
    {"float16", 2},        {"float64", 8},  {"uint32", 4},       {"uint64", 8},         {"complex64", 8},
    {"complex128", 16},    {"bfloat16", 2}, {"float8e4m3fn", 1}, {"float8e4m3fnuz", 1}, {"float8e5m2", 1},
    {"float8e5m2fnuz", 1}, {"uint4", 1},    {"int4", 1},         {"float4e2m1", 1},     {"float8e8m0", 1},
    {"uint2", 1},          {"int2", 1},
};
static_assert(sizeof dtypes / sizeof dtypes[0] == TW_I2 + 1);

const DtypeInfo &lookup(tw_dtype dtype) {
  const auto index = static_cast<uint32_t>(dtype);
  return dtypes[index <= TW_I2 ? index : 0];
}

} // namespace

uint32_t tw_dtype_bytes(tw_dtype dtype) { return lookup(dtype).bytes; }
const char *tw_dtype_name(tw_dtype dtype) { return lookup(dtype).name; }
