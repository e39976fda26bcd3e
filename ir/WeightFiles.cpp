#include "ir/WeightFiles.h"
#include "llvm/Support/FileSystem.h"

namespace tilewright::graph {

const WeightFiles &WeightFiles::of(mlir::MLIRContext *context) {
  return *context->getOrLoadDialect<GraphDialect>()->getRegisteredInterface<WeightFiles>();
}

void WeightFiles::provide(llvm::StringRef path, File file) const {
  std::lock_guard<std::mutex> lock(mutex);
  files[path] = std::move(file);
}

static llvm::Expected<WeightFiles::File> mapFile(llvm::StringRef path) {
  auto file = llvm::sys::fs::openNativeFileForRead(path);
  if (!file)
    return file.takeError();
  llvm::sys::fs::file_status status;
  std::error_code error = llvm::sys::fs::status(*file, status);
  auto region = std::make_shared<llvm::sys::fs::mapped_file_region>();
  if (!error && !llvm::sys::fs::is_regular_file(status))
    error = std::make_error_code(std::errc::invalid_argument);
  if (!error && status.getSize() > 0)
    *region = llvm::sys::fs::mapped_file_region(*file, llvm::sys::fs::mapped_file_region::readonly,
                                                status.getSize(), 0, error);
  llvm::sys::fs::closeFile(*file);
  if (error)
    return llvm::errorCodeToError(error);
  llvm::ArrayRef<char> bytes;
  if (*region)
    bytes = llvm::ArrayRef(region->const_data(), region->size());
  return WeightFiles::File{bytes, std::move(region)};
}

llvm::Expected<WeightFiles::File> WeightFiles::open(llvm::StringRef path) const {
  std::lock_guard<std::mutex> lock(mutex);
  if (auto found = files.find(path); found != files.end())
    return found->second;
  auto file = mapFile(path);
  if (file)
    files[path] = *file;
  return file;
}

} // namespace tilewright::graph
