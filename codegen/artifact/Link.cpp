//===- Link.cpp - objects to a shared object, in process ------------------===//
//
// lld works on paths, and its state is global: one link at a time. Objects go in as one archive in memory
// (of thousands of kernels, each in a file, a process may not have so many open), and the result comes out
// through a pipe, both reached through /proc/self/fd: no temporary file exists, no full disk can strike
// inside the linker, and no output is mapped (where a full file system would raise SIGBUS).
//===----------------------------------------------------------------------===//
#include "codegen/artifact/Link.h"

#include "lld/Common/Driver.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Object/ELF.h"
#include "llvm/Support/raw_ostream.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <sys/mman.h>
#include <system_error>
#include <thread>
#include <unistd.h>

LLD_HAS_DRIVER(elf)

// The objects that CMake compiles from builtins.c, as they are: TILEWRIGHT_BUILTINS(architecture, path) for
// each.
#define TILEWRIGHT_BUILTINS(architecture, path)                                                              \
  __asm__(".section .rodata.tilewright_builtins,\"a\",@progbits\n"                                           \
          ".balign 16\n"                                                                                     \
          ".hidden tilewright_builtins_" #architecture "\n"                                                  \
          ".globl tilewright_builtins_" #architecture "\n"                                                   \
          "tilewright_builtins_" #architecture ":\n"                                                         \
          ".incbin \"" path "\"\n"                                                                           \
          ".hidden tilewright_builtins_" #architecture "_end\n"                                              \
          ".globl tilewright_builtins_" #architecture "_end\n"                                               \
          "tilewright_builtins_" #architecture "_end:\n"                                                     \
          ".byte 0\n"                                                                                        \
          ".previous\n");                                                                                    \
  extern "C" const char tilewright_builtins_##architecture[], tilewright_builtins_##architecture##_end[];
#include "Builtins.inc"
#undef TILEWRIGHT_BUILTINS

using llvm::StringRef;

namespace tilewright::codegen {
namespace {

llvm::Error noMemoryFile() {
  return makeError(5010, Fault::Io, std::string("cannot make a file in memory: ") + strerror(errno),
                   "Linking needs some free memory and file descriptors");
}

/// A file in memory, closed at the end of its life.
class MemoryFile {
public:
  static llvm::Expected<MemoryFile> create(StringRef contents) {
    const int descriptor = memfd_create("tilewright", MFD_CLOEXEC);
    if (descriptor < 0)
      return noMemoryFile();
    MemoryFile file(descriptor);
    while (!contents.empty()) {
      const ssize_t written = ::write(descriptor, contents.data(), contents.size());
      if (written < 0 && errno != EINTR)
        return noMemoryFile();
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

private:
  explicit MemoryFile(int descriptor) : descriptor(descriptor) {}
  int descriptor;
};

/// Collects what is written to path(), on a thread of its own, so that a writer never waits for room.
class OutputPipe {
public:
  static llvm::Expected<std::unique_ptr<OutputPipe>> create() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
      return noMemoryFile();
    std::unique_ptr<OutputPipe> pipe(new OutputPipe(ends[0], ends[1]));
    try {
      pipe->reader = std::thread([pipe = pipe.get()] { pipe->collect(); });
    } catch (const std::system_error &refused) {
      return makeError(5010, Fault::Io, std::string("linking needs a thread: ") + refused.what(),
                       "Allow more threads or processes");
    }
    return pipe;
  }
  OutputPipe(const OutputPipe &) = delete;
  ~OutputPipe() { closeAll(); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(writeEnd); }
  /// Once all writers have closed: everything that they wrote.
  llvm::Expected<std::string> finish() {
    closeAll();
    if (lacksMemory)
      return makeError(5010, Fault::Io, "out of memory while linking", "Linking needs some free memory");
    return std::move(contents);
  }

private:
  OutputPipe(int readEnd, int writeEnd) : readEnd(readEnd), writeEnd(writeEnd) {}
  void closeAll() {
    if (writeEnd >= 0)
      close(std::exchange(writeEnd, -1));
    if (reader.joinable())
      reader.join();
    if (readEnd >= 0)
      close(std::exchange(readEnd, -1));
  }
  void collect() {
    char buffer[65536];
    for (ssize_t count; (count = read(readEnd, buffer, sizeof buffer)) != 0;)
      if (count > 0)
        append(StringRef(buffer, count));
      else if (errno != EINTR)
        return;
  }
  /// The writer must not wait for ever: what there is no memory for is read all the same.
  void append(StringRef piece) {
    try {
      if (!lacksMemory)
        contents.append(piece.data(), piece.size());
    } catch (const std::bad_alloc &) {
      lacksMemory = true;
    }
  }
  int readEnd, writeEnd;
  std::string contents;
  bool lacksMemory = false;
  std::thread reader;
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
  for (int lack : {EMFILE, ENFILE, ENOMEM})
    if (text.contains(strerror(lack)))
      return makeError(5010, Fault::Io, std::string("linking lacks something: ") + strerror(lack),
                       "Linking needs some free memory and file descriptors");
  return makeError(9212, Fault::Internal, "the linker failed: " + text.split('\n').first.str(), report);
}

/// The linker ends the process over an object whose structure is broken, so such an object must not reach it.
llvm::Error checkObject(StringRef object) {
  auto broken = [](llvm::Error error) {
    return makeError(9212, Fault::Internal,
                     "a compiled object is damaged: " + llvm::toString(std::move(error)),
                     "This is a bug in Tilewright; please report it");
  };
  auto file = llvm::object::ELFFile<llvm::object::ELF64LE>::create(object);
  if (!file)
    return broken(file.takeError());
  auto sections = file->sections();
  if (!sections)
    return broken(sections.takeError());
  for (const auto &section : *sections)
    if (auto contents = file->getSectionContents(section); !contents)
      return broken(contents.takeError());
  return llvm::Error::success();
}

llvm::Expected<MemoryFile> archiveOf(llvm::ArrayRef<StringRef> objects) {
  std::vector<llvm::NewArchiveMember> members;
  for (StringRef object : objects)
    members.emplace_back(llvm::MemoryBufferRef(object, "kernel"));
  auto bytes =
      llvm::writeArchiveToBuffer(members, llvm::SymtabWritingMode::NoSymtab, llvm::object::Archive::K_GNU,
                                 /*Deterministic=*/true, /*Thin=*/false);
  if (!bytes)
    return makeError(9212, Fault::Internal,
                     "the objects cannot be put together: " + llvm::toString(bytes.takeError()),
                     "This is a bug in Tilewright; please report it");
  return MemoryFile::create((*bytes)->getBuffer());
}

llvm::Error runLinker(const Architecture &architecture, const std::string &archive,
                      const std::string &output) {
  llvm::SmallVector<const char *> arguments = {
      "ld.lld", "-shared", "-m", architecture.emulation, "-o", output.c_str(), "--no-mmap-output-file",
      "--threads=1",
      // Nothing imported, and one symbol exported: everything else is hidden in the objects.
      "-z", "defs", "-Bsymbolic", "--hash-style=gnu",
      // Only what the descriptor reaches, once.
      "--gc-sections", "--icf=none", "--strip-all", "-O1", "--build-id=sha1", "-z", "relro", "-z", "now",
      "-z", "noexecstack", "-z", "separate-code", "-z", "max-page-size=4096", "--fatal-warnings",
      "--whole-archive", archive.c_str()};
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

StringRef builtinsObject(const Architecture &architecture) {
  const StringRef wanted = architecture.name;
#define TILEWRIGHT_BUILTINS(name, path)                                                                      \
  if (wanted == #name)                                                                                       \
    return StringRef(tilewright_builtins_##name,                                                             \
                     tilewright_builtins_##name##_end - tilewright_builtins_##name);
#include "Builtins.inc"
  llvm_unreachable("every architecture has its built-ins");
}

llvm::Expected<std::string> linkSharedObject(llvm::ArrayRef<StringRef> objects,
                                             const Architecture &architecture) {
  llvm::SmallVector<StringRef> all(objects);
  all.push_back(builtinsObject(architecture));
  for (StringRef object : all)
    if (auto error = checkObject(object))
      return error;
  auto archive = archiveOf(all);
  if (!archive)
    return archive.takeError();
  auto output = OutputPipe::create();
  if (!output)
    return output.takeError();
  if (auto error = runLinker(architecture, archive->path(), (*output)->path()))
    return error;
  return (*output)->finish();
}

} // namespace tilewright::codegen
