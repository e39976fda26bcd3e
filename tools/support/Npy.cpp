#include "Npy.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace tilewright::tools {

namespace {

/// What the header of a .npy file says.
struct Header {
  std::string descriptor;
  bool fortranOrder = false;
  std::vector<int64_t> shape;
};

/// What a NumPy type descriptor such as "<f4" means.
struct ElementType {
  tw_dtype dtype = TW_UNDEFINED;
  size_t bytes = 0;     ///< of one element in the file
  size_t unit = 1;      ///< bytes that are swapped together
  bool swapped = false; ///< the file has the other byte order
  bool unicode = false; ///< a string of UTF-32, else of bytes
};

/// Reads the Python dictionary literal that a .npy header is. Stops at the first thing it does not know.
class HeaderParser {
public:
  explicit HeaderParser(std::string_view text) : rest(text) {}
  std::optional<Header> parse();

private:
  void skipSpace() { rest.remove_prefix(std::min(rest.find_first_not_of(" \t\n\r"), rest.size())); }
  bool accept(std::string_view token);
  std::optional<std::string> quoted();
  std::optional<bool> boolean();
  std::optional<std::vector<int64_t>> tuple();
  std::optional<int64_t> number();
  bool field(Header &header);
  std::string_view rest;
  unsigned seen = 0;
};

} // namespace

bool HeaderParser::accept(std::string_view token) {
  skipSpace();
  if (!rest.starts_with(token))
    return false;
  rest.remove_prefix(token.size());
  return true;
}

std::optional<std::string> HeaderParser::quoted() {
  skipSpace();
  if (rest.empty() || (rest[0] != '\'' && rest[0] != '"'))
    return std::nullopt;
  size_t end = rest.find(rest[0], 1);
  if (end == std::string_view::npos)
    return std::nullopt;
  std::string text(rest.substr(1, end - 1));
  rest.remove_prefix(end + 1);
  return text;
}

std::optional<bool> HeaderParser::boolean() {
  if (accept("True"))
    return true;
  if (accept("False"))
    return false;
  return std::nullopt;
}

std::optional<int64_t> HeaderParser::number() {
  skipSpace();
  int64_t value = 0;
  size_t digits = 0;
  for (; digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9'; ++digits)
    if (__builtin_mul_overflow(value, 10, &value) ||
        __builtin_add_overflow(value, rest[digits] - '0', &value))
      return std::nullopt;
  if (!digits)
    return std::nullopt;
  rest.remove_prefix(digits);
  accept("L"); // written by Python 2
  return value;
}

std::optional<std::vector<int64_t>> HeaderParser::tuple() {
  if (!accept("("))
    return std::nullopt;
  std::vector<int64_t> dims;
  while (!accept(")")) {
    auto value = number();
    if (!value)
      return std::nullopt;
    dims.push_back(*value);
    if (!accept(",")) {
      if (!accept(")"))
        return std::nullopt;
      break;
    }
  }
  return dims;
}

bool HeaderParser::field(Header &header) {
  auto key = quoted();
  if (!key || !accept(":"))
    return false;
  if (*key == "descr") {
    auto value = quoted();
    // A list instead of a string describes a structure of fields.
    header.descriptor = value.value_or("a structure");
    seen |= 1;
    return value.has_value();
  }
  if (*key == "fortran_order") {
    auto value = boolean();
    header.fortranOrder = value.value_or(false);
    seen |= 2;
    return value.has_value();
  }
  auto value = tuple();
  if (*key != "shape" || !value)
    return false;
  header.shape = *value;
  seen |= 4;
  return true;
}

std::optional<Header> HeaderParser::parse() {
  Header header;
  if (!accept("{"))
    return std::nullopt;
  while (!accept("}")) {
    if (!field(header))
      return std::nullopt;
    if (!accept(",")) {
      if (!accept("}"))
        return std::nullopt;
      break;
    }
  }
  skipSpace();
  return seen == 7 && rest.empty() ? std::optional(header) : std::nullopt;
}

static tw_dtype numericType(char kind, size_t bytes) {
  struct Row {
    char kind;
    size_t bytes;
    tw_dtype dtype;
  };
  static constexpr Row rows[] = {{'b', 1, TW_BOOL}, {'i', 1, TW_I8},    {'i', 2, TW_I16}, {'i', 4, TW_I32},
                                 {'i', 8, TW_I64},  {'u', 1, TW_U8},    {'u', 2, TW_U16}, {'u', 4, TW_U32},
                                 {'u', 8, TW_U64},  {'f', 2, TW_F16},   {'f', 4, TW_F32}, {'f', 8, TW_F64},
                                 {'c', 8, TW_C64},  {'c', 16, TW_C128}, {'V', 1, TW_U8},  {'V', 2, TW_U16}};
  for (const Row &row : rows)
    if (row.kind == kind && row.bytes == bytes)
      return row.dtype;
  return TW_UNDEFINED;
}

static std::optional<ElementType> parseDescriptor(const std::string &descriptor) {
  std::string_view text = descriptor;
  ElementType type;
  if (!text.empty() && std::string_view("<>=|").find(text[0]) != std::string_view::npos) {
    type.swapped = text[0] == '>';
    text.remove_prefix(1);
  }
  if (text == "?")
    text = "b1";
  if (text.size() < 2 || text.size() > 10 ||
      !std::all_of(text.begin() + 1, text.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  size_t size = std::stoul(std::string(text.substr(1)));
  if (text[0] == 'U' || text[0] == 'S') {
    type.dtype = TW_STRING;
    type.unicode = text[0] == 'U';
    type.unit = type.unicode ? 4 : 1;
    type.bytes = size * type.unit;
    return type;
  }
  type.dtype = numericType(text[0], size);
  type.bytes = size;
  type.unit = text[0] == 'c' ? size / 2 : size;
  return type.dtype == TW_UNDEFINED ? std::nullopt : std::optional(type);
}

static Diagnostic damaged(const std::string &what, const std::string &why) {
  return invalidProblem("TW5202", fmt::format("array '{}' is not readable: {}", what, why));
}

/// The header's text, and where the elements begin.
static std::optional<std::pair<std::string_view, size_t>> findHeader(std::span<const std::byte> bytes) {
  auto text = std::string_view(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  if (text.size() < 10 || !text.starts_with("\x93NUMPY"))
    return std::nullopt;
  int version = text[6];
  if (version < 1 || version > 3)
    return std::nullopt;
  size_t lengthBytes = version == 1 ? 2 : 4;
  uint32_t length = 0;
  if (text.size() < 8 + lengthBytes)
    return std::nullopt;
  std::memcpy(&length, text.data() + 8, lengthBytes);
  if (length > text.size() - 8 - lengthBytes)
    return std::nullopt;
  return std::pair(text.substr(8 + lengthBytes, length), 8 + lengthBytes + length);
}

/// Copy elements from column-major to row-major order: `source` is walked once per element of `target`, in
/// order.
static void toRowMajor(std::span<const std::byte> source, std::byte *target,
                       const std::vector<int64_t> &shape, size_t bytes) {
  size_t rank = shape.size(), count = source.size() / bytes;
  std::vector<size_t> strides(rank), index(rank);
  size_t stride = 1, offset = 0;
  for (size_t axis = 0; axis < rank; ++axis) {
    strides[axis] = stride;
    stride *= static_cast<size_t>(shape[axis]);
  }
  for (size_t i = 0; i < count; ++i) {
    std::memcpy(target + i * bytes, source.data() + offset * bytes, bytes);
    for (size_t axis = rank; axis-- > 0;) {
      offset += strides[axis];
      if (++index[axis] < static_cast<size_t>(shape[axis]))
        break;
      offset -= strides[axis] * index[axis];
      index[axis] = 0;
    }
  }
}

static void swapBytes(std::byte *elements, size_t size, size_t unit) {
  for (size_t i = 0; i + unit <= size; i += unit)
    std::reverse(elements + i, elements + i + unit);
}

static bool needsCopy(const ElementType &type, const Header &header, std::span<const std::byte> elements) {
  if (type.swapped && type.unit > 1)
    return true;
  if (header.fortranOrder && header.shape.size() > 1)
    return true;
  // Generated code may count on booleans being 0 or 1.
  return type.dtype == TW_BOOL &&
         std::any_of(elements.begin(), elements.end(), [](std::byte b) { return b > std::byte{1}; });
}

static Result<Bytes> rearrange(const Bytes &elements, const ElementType &type, const Header &header) {
  auto buffer = allocate(elements.size());
  if (!buffer)
    return buffer.problem();
  std::byte *target = buffer->data;
  if (header.fortranOrder && type.bytes)
    toRowMajor(elements.view, target, header.shape, type.bytes);
  else if (elements.size())
    std::memcpy(target, elements.view.data(), elements.size());
  if (type.swapped)
    swapBytes(target, elements.size(), type.unit);
  if (type.dtype == TW_BOOL)
    std::for_each(target, target + elements.size(), [](std::byte &b) { b = std::byte{b != std::byte{0}}; });
  return buffer->bytes;
}

/// Append one code point as UTF-8. False when there is no such code point.
static bool appendUtf8(std::string &text, uint32_t point) {
  if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
    return false;
  if (point < 0x80) {
    text += static_cast<char>(point);
    return true;
  }
  int tail = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  static constexpr uint32_t lead[] = {0, 0xc0, 0xe0, 0xf0};
  text += static_cast<char>(lead[tail] | point >> (6 * tail));
  while (tail--)
    text += static_cast<char>(0x80 | (point >> (6 * tail) & 0x3f));
  return true;
}

static bool decodeStrings(std::span<const std::byte> elements, const ElementType &type, size_t count,
                          std::vector<std::string> &strings) {
  strings.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const std::byte *element = elements.data() + i * type.bytes;
    size_t length = type.bytes / type.unit;
    auto unit = [&](size_t at) {
      uint32_t point = 0;
      std::memcpy(&point, element + at * type.unit, type.unit);
      return point;
    };
    // NumPy pads with zeros and does not store the length.
    while (length && unit(length - 1) == 0)
      --length;
    std::string &text = strings.emplace_back();
    for (size_t at = 0; at < length; ++at)
      if (!type.unicode)
        text += static_cast<char>(unit(at));
      else if (!appendUtf8(text, unit(at)))
        return false;
  }
  return true;
}

namespace {

/// What a header promises.
struct Promise {
  Header header;
  ElementType type;
  size_t start = 0; ///< where the elements begin
  size_t count = 0, bytes = 0;
};

} // namespace

static Result<Promise> readPromise(std::span<const std::byte> file, const std::string &what) {
  auto found = findHeader(file);
  if (!found)
    return damaged(what, "it has no .npy header of version 1 to 3");
  auto header = HeaderParser(found->first).parse();
  if (!header)
    return damaged(what, "its header is not understood (structures of fields are not read)");
  auto type = parseDescriptor(header->descriptor);
  if (!type)
    return invalidProblem(
        "TW5203",
        fmt::format("array '{}' has the NumPy type '{}', which is not read", what, header->descriptor),
        "convert it with numpy.ndarray.astype");
  if (header->shape.size() > TW_MAX_RANK)
    return damaged(what,
                   fmt::format("it has {} dimensions; the limit is {}", header->shape.size(), TW_MAX_RANK));
  auto count = checkedElementCount(header->shape, type->bytes);
  if (!count)
    return damaged(what, "its shape is too large");
  return Promise{std::move(*header), *type, found->second, *count, *count * type->bytes};
}

Result<Tensor> readNpy(const Bytes &file, const std::string &what) {
  auto promise = readPromise(file.view, what);
  if (!promise)
    return promise.problem();
  const auto &[header, type, start, count, size] = *promise;
  const size_t room = file.size() - start;
  // An empty string type takes no bytes: the count must be bounded by something the file really has.
  if (size > room || (!type.bytes && count > (1u << 20)))
    return damaged(what,
                   fmt::format("it is truncated: {} bytes of elements where {} are needed", room, size));
  Bytes elements = file.piece(start, size);
  if (needsCopy(type, header, elements.view)) {
    auto copy = rearrange(elements, type, header);
    if (!copy)
      return copy.problem();
    elements = *copy;
  }
  Tensor tensor{type.dtype, header.shape, {}, {}};
  if (type.dtype != TW_STRING)
    tensor.bytes = elements;
  else if (!decodeStrings(elements.view, type, count, tensor.strings))
    return damaged(what, "a string holds an invalid code point");
  return tensor;
}

/// The code points of UTF-8 text; a byte that does not fit becomes U+FFFD.
static std::vector<uint32_t> codePoints(const std::string &text) {
  std::vector<uint32_t> points;
  for (size_t i = 0; i < text.size();) {
    auto lead = static_cast<unsigned char>(text[i++]);
    int tail = lead < 0x80             ? 0
               : (lead & 0xe0) == 0xc0 ? 1
               : (lead & 0xf0) == 0xe0 ? 2
               : (lead & 0xf8) == 0xf0 ? 3
                                       : -1;
    uint32_t point = tail <= 0 ? lead : lead & (0x3f >> tail);
    for (int k = 0; k < tail; ++k) {
      if (i >= text.size() || (text[i] & 0xc0) != 0x80) {
        tail = -1;
        break;
      }
      point = point << 6 | (text[i++] & 0x3f);
    }
    points.push_back(tail < 0 ? 0xfffd : point);
  }
  return points;
}

UnicodeArray toUnicodeArray(const std::vector<std::string> &strings) {
  std::vector<std::vector<uint32_t>> decoded;
  UnicodeArray array;
  for (const std::string &text : strings) {
    decoded.push_back(codePoints(text));
    array.width = std::max(array.width, decoded.back().size());
  }
  array.elements.resize(array.width * strings.size());
  for (size_t i = 0; i < decoded.size(); ++i)
    std::copy(decoded[i].begin(), decoded[i].end(),
              array.elements.begin() + static_cast<ptrdiff_t>(i * array.width));
  return array;
}

static std::string descriptorOf(tw_dtype dtype, size_t width) {
  switch (carrierOf(dtype)) {
  case TW_STRING:
    return fmt::format("<U{}", width);
  case TW_BOOL:
    return "|b1";
  case TW_U8:
    return "|u1";
  case TW_I8:
    return "|i1";
  case TW_U16:
    return "<u2";
  case TW_I16:
    return "<i2";
  case TW_U32:
    return "<u4";
  case TW_I32:
    return "<i4";
  case TW_U64:
    return "<u8";
  case TW_I64:
    return "<i8";
  case TW_F16:
    return "<f2";
  case TW_F64:
    return "<f8";
  case TW_C64:
    return "<c8";
  case TW_C128:
    return "<c16";
  default:
    return "<f4";
  }
}

std::string npyHeader(tw_dtype dtype, const std::vector<int64_t> &shape, size_t width) {
  std::string dims;
  for (int64_t dim : shape)
    dims += fmt::format("{},{}", dim, shape.size() > 1 ? " " : "");
  if (shape.size() > 1)
    dims.resize(dims.size() - 2);
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                 descriptorOf(dtype, width), dims);
  // The elements begin at a multiple of 64; a newline ends the header.
  text.append(63 - (10 + text.size()) % 64, ' ');
  text += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(text.size() & 0xff);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

NpzReader::NpzReader(std::string path, ZipReader zip) : path(std::move(path)), zip(std::move(zip)) {
  for (const auto &entry : this->zip.entries()) {
    std::string name =
        entry.name.ends_with(".npy") ? entry.name.substr(0, entry.name.size() - 4) : entry.name;
    arrays.push_back(std::move(name));
  }
}

Result<NpzReader> NpzReader::open(const std::string &path) {
  auto file = readFile(path);
  if (!file)
    return file.problem();
  auto zip = ZipReader::open(*file, path);
  if (!zip)
    return zip.problem();
  return NpzReader(path, std::move(*zip));
}

/// As in NumPy, the last of equal names counts.
const ZipReader::Entry *NpzReader::find(const std::string &name) const {
  auto found = std::find(arrays.rbegin(), arrays.rend(), name);
  return found == arrays.rend() ? nullptr : &zip.entries()[static_cast<size_t>(arrays.rend() - found) - 1];
}

std::string NpzReader::what(const std::string &name) const { return fmt::format("{}:{}", path, name); }

bool NpzReader::isCompressed(const std::string &name) const {
  const ZipReader::Entry *entry = find(name);
  return entry && entry->method != 0;
}

/// More than any array's header takes that is not a structure.
static constexpr size_t longestHeader = 65536;

Result<Tensor> NpzReader::describe(const std::string &name) const {
  const ZipReader::Entry *entry = find(name);
  if (!entry)
    return invalidProblem("TW5301", fmt::format("'{}' holds no array '{}'", path, name));
  auto start = zip.readStart(*entry, longestHeader);
  if (!start)
    return start.problem();
  auto promise = readPromise(start->view, what(name));
  if (!promise)
    return promise.problem();
  const uint64_t needed = promise->start + promise->bytes;
  if (entry->bytes != needed && entry->method != 0)
    return damaged(what(name),
                   fmt::format("it has {} bytes where its header asks for {}", entry->bytes, needed));
  return Tensor{promise->type.dtype, promise->header.shape, {}, {}};
}

Result<Tensor> NpzReader::read(const std::string &name) const {
  if (auto described = describe(name); !described)
    return described.problem();
  auto content = zip.read(*find(name));
  if (!content)
    return content.problem();
  return readNpy(*content, what(name));
}

MaybeProblem writeNpz(OutputFile &output, const std::vector<NamedTensor> &tensors) {
  ZipWriter zip(output);
  for (const auto &[name, tensor] : tensors) {
    if (name.size() > 0xfff0)
      return invalidProblem("TW5204", fmt::format("the name of output '{}...' is too long for a .npz file",
                                                  name.substr(0, 40)));
    UnicodeArray unicode = toUnicodeArray(tensor.strings);
    auto elements =
        tensor.dtype == TW_STRING ? std::as_bytes(std::span(unicode.elements)) : tensor.bytes.view;
    std::string header = npyHeader(tensor.dtype, tensor.shape, unicode.width);
    if (auto problem = zip.add(name + ".npy", {std::as_bytes(std::span(header)), elements}))
      return problem;
  }
  if (auto problem = zip.finish())
    return problem;
  return output.commit();
}

} // namespace tilewright::tools
