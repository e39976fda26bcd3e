/// Npy.h - NumPy's array files: .npy (one array) and .npz (a zip of them).
///
/// Read: header versions 1 to 3, either byte order, C and Fortran order, booleans, integers, float16/32/64,
/// complex, byte and unicode strings, and raw bytes of one or two per element (as some extension types are
/// saved). Pickled objects are refused. bfloat16 travels as uint16, float8 and float4 as uint8, int4 and int2
/// as int8, uint4 and uint2 as uint8.
#pragma once

#include "Tensor.h"
#include "Zip.h"

namespace tilewright::tools {

/// The array in the bytes of a .npy file; its elements are a view of `file` when nothing has to be
/// rearranged. `what` names the array in messages.
Result<Tensor> readNpy(const Bytes &file, const std::string &what);

/// The elements of a string tensor as NumPy's fixed-width UTF-32. `width` is the longest string in code
/// points, at least 1.
struct UnicodeArray {
  size_t width = 1;
  std::vector<uint32_t> elements;
};
UnicodeArray toUnicodeArray(const std::vector<std::string> &strings);

/// The header of a .npy file: everything before the elements, which follow as they are. `width` is for
/// strings.
std::string npyHeader(tw_dtype dtype, const std::vector<int64_t> &shape, size_t width = 1);

/// The arrays of a .npz file, each read when asked for.
class NpzReader {
public:
  static Result<NpzReader> open(const std::string &path);
  const std::vector<std::string> &names() const { return arrays; }
  /// Whether the array's elements have to be decompressed: nobody should before he has looked at describe().
  bool isCompressed(const std::string &name) const;
  /// Type and shape, from the array's header alone, and no elements.
  Result<Tensor> describe(const std::string &name) const;
  /// The array. One whose file does not have exactly the bytes that its header says is not decompressed.
  Result<Tensor> read(const std::string &name) const;

private:
  NpzReader(std::string path, ZipReader zip);
  const ZipReader::Entry *find(const std::string &name) const;
  std::string what(const std::string &name) const;
  std::string path;
  ZipReader zip;
  std::vector<std::string> arrays;
};

/// Write all tensors as an uncompressed .npz that numpy.load reads, and commit it.
MaybeProblem writeNpz(OutputFile &output, const std::vector<NamedTensor> &tensors);

} // namespace tilewright::tools
