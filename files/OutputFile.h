/// OutputFile.h - the one way in which this project writes a file that it keeps.
///
/// A file is whole or not there: it gets its name when all is written. Until then it has none where the file
/// system can do that (O_TMPFILE), so that nothing is left behind whatever ends the process; elsewhere it has
/// a temporary name beside the final one, which removeTemporaries() takes away. And no file that was read is
/// written over, under whatever name.
#ifndef TILEWRIGHT_FILES_OUTPUTFILE_H
#define TILEWRIGHT_FILES_OUTPUTFILE_H

#include "files/ReadFiles.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace tilewright::files {

/// Why a file was not written. All are input/output errors.
struct OutputProblem {
  int code = 0; ///< 5011 cannot create, 5012 cannot write, 5013 cannot take its name, 5014 was read from
  std::string message, hint;
};
using MaybeOutputProblem = std::optional<OutputProblem>;

struct OutputOptions {
  mode_t mode = 0666; ///< of a new file; the process's mask is applied
  /// A file there is replaced by one of its mode, and a link there goes on pointing to it. Else the new file
  /// takes the place of a link.
  bool replacesContent = true;
  bool devices = true; ///< a device or pipe is written directly
};

class OutputFile {
public:
  OutputFile() = default;
  OutputFile(OutputFile &&other) noexcept { *this = std::move(other); }
  OutputFile &operator=(OutputFile &&other) noexcept;
  ~OutputFile() { abandon(); }

  /// Start a file that will be at `path`. TW5014 when `read` has it.
  MaybeOutputProblem create(const std::string &path, const ReadFiles &read,
                            const OutputOptions &options = {});
  /// Write into an open file instead, which stays open; commit() gives it no name. `path` is for messages.
  MaybeOutputProblem adopt(int descriptor, const std::string &path);

  /// Behind what was written last.
  MaybeOutputProblem write(std::span<const std::byte> bytes);
  /// Thread-safe. What was never written is zero. Not for devices.
  MaybeOutputProblem writeAt(uint64_t offset, std::span<const std::byte> bytes);
  /// The file takes its name.
  MaybeOutputProblem commit();
  /// Nothing is left of it.
  void abandon();

private:
  enum class State { Closed, Direct, Nameless, Temporary };
  MaybeOutputProblem createNamed(mode_t mode);
  MaybeOutputProblem problem(int code, const std::string &what, const char *hint) const;
  MaybeOutputProblem cannotWrite() const;
  bool nameIt();
  bool link(const std::string &name) const;

  State state = State::Closed;
  std::string path, temporary;
  int descriptor = -1;
  int slot = -1; ///< of `temporary` among those that removeTemporaries() knows
};

/// Remove the temporary files of all outputs that are being written. Async-signal-safe: for handlers that end
/// the process.
void removeTemporaries();

} // namespace tilewright::files

#endif // TILEWRIGHT_FILES_OUTPUTFILE_H
