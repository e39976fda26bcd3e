//===- Link.cpp - objects to a shared object, in process ------------------===//
//
// lld works on paths, and its state is global: one link at a time, on memory files reached through
// /proc/self/fd. So no temporary file exists, a full disk cannot strike inside the linker, and no output is
// mapped (a full file system would raise SIGBUS there).
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Link.h"

#include "lld/Common/Driver.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/raw_ostream.h"

#include <cerrno>
#include <cstring>
#include <mutex>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

LLD_HAS_DRIVER(elf)

// The object that CMake compiles from builtins.c, as it is.
__asm__(".section .rodata.tilewright_builtins,\"a\",@progbits\n"
        ".balign 16\n"
        ".hidden tilewright_builtins_begin\n"
        ".globl tilewright_builtins_begin\n"
        "tilewright_builtins_begin:\n"
        ".incbin \"" TILEWRIGHT_BUILTINS_OBJECT "\"\n"
        ".hidden tilewright_builtins_end\n"
        ".globl tilewright_builtins_end\n"
        "tilewright_builtins_end:\n"
        ".byte 0\n"
        ".previous\n");
extern "C" const char tilewright_builtins_begin[], tilewright_builtins_end[];

using llvm::StringRef;

namespace tilewright::codegen {
namespace {

/// A file in memory, closed at the end of its life.
class MemoryFile {
public:
  static llvm::Expected<MemoryFile> create(StringRef contents) {
    const int descriptor = memfd_create("tilewright", MFD_CLOEXEC);
    if (descriptor < 0)
      return failure();
    MemoryFile file(descriptor);
    while (!contents.empty()) {
      const ssize_t written = ::write(descriptor, contents.data(), contents.size());
      if (written < 0 && errno != EINTR)
        return failure();
      contents = contents.drop_front(std::max<ssize_t>(written, 0));
    }
    return file;
  }
  MemoryFile(MemoryFile &&other) : descriptor(std::exchange(other.descriptor, -1)) {}
  ~MemoryFile() {
    if (descriptor >= 0)
      close(descriptor);
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor); }
  llvm::Expected<std::string> read() const {
    struct stat status;
    if (fstat(descriptor, &status) != 0)
      return failure();
    std::string contents(status.st_size, '\0');
    for (size_t done = 0; done < contents.size();) {
      const ssize_t count = pread(descriptor, contents.data() + done, contents.size() - done, done);
      if (count <= 0)
        return failure();
      done += count;
    }
    return contents;
  }

private:
  explicit MemoryFile(int descriptor) : descriptor(descriptor) {}
  static llvm::Error failure() {
    return makeError(5010, Fault::Io, std::string("cannot make a file in memory: ") + strerror(errno),
                     "Linking needs some free memory and file descriptors");
  }
  int descriptor;
};

llvm::Error wordLinkerErrors(StringRef text) {
  constexpr const char *report = "This is a bug in Tilewright; please report it";
  text = text.trim();
  for (auto [marker, code, what] :
       {std::tuple{"undefined hidden symbol: ", 9210, "generated code refers to '"},
        std::tuple{"undefined symbol: ", 9210, "generated code refers to '"},
        std::tuple{"duplicate symbol: ", 9211, "generated code defines twice '"}}) {
    const size_t at = text.find(marker);
    if (at == StringRef::npos)
      continue;
    const StringRef name = text.substr(at + strlen(marker)).split('\n').first.trim();
    return makeError(code, Fault::Internal,
                     what + name.str() + "'" + (code == 9210 ? ", which nothing defines" : ""), report);
  }
  return makeError(9212, Fault::Internal, "the linker failed: " + text.split('\n').first.str(), report);
}

llvm::Error runLinker(llvm::ArrayRef<std::string> inputs, const std::string &output) {
  llvm::SmallVector<const char *> arguments = {
      "ld.lld", "-shared", "-m", "elf_x86_64", "-o", output.c_str(), "--no-mmap-output-file", "--threads=1",
      // Nothing imported, and one symbol exported: everything else is hidden in the objects.
      "-z", "defs", "-Bsymbolic", "--exclude-libs=ALL", "--hash-style=gnu",
      // Only what the descriptor reaches, once.
      "--gc-sections", "--icf=none", "--strip-all", "-O1", "--build-id=sha1", "-z", "relro", "-z", "now",
      "-z", "noexecstack", "-z", "separate-code", "-z", "max-page-size=4096", "--fatal-warnings"};
  for (const std::string &input : inputs)
    arguments.push_back(input.c_str());
  static std::mutex mutex;
  static bool usable = true;
  std::lock_guard<std::mutex> lock(mutex);
  if (!usable)
    return makeError(9212, Fault::Internal, "the linker crashed earlier in this process", "Start again");
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  const lld::Result result = lld::lldMain(arguments, stream, stream, {{lld::Gnu, &lld::elf::link}});
  usable = result.canRunAgain;
  return result.retCode == 0 ? llvm::Error::success() : wordLinkerErrors(messages);
}

} // namespace

StringRef builtinsObject() {
  return StringRef(tilewright_builtins_begin, tilewright_builtins_end - tilewright_builtins_begin);
}

llvm::Expected<std::string> linkSharedObject(llvm::ArrayRef<StringRef> objects) {
  std::vector<MemoryFile> files;
  std::vector<std::string> paths;
  llvm::SmallVector<StringRef> all(objects);
  all.push_back(builtinsObject());
  for (StringRef object : all) {
    auto file = MemoryFile::create(object);
    if (!file)
      return file.takeError();
    paths.push_back(file->path());
    files.push_back(std::move(*file));
  }
  auto output = MemoryFile::create("");
  if (!output)
    return output.takeError();
  if (auto error = runLinker(paths, output->path()))
    return error;
  return output->read();
}

} // namespace tilewright::codegen
