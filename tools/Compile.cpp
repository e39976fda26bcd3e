/// tilewright compile: an ONNX model into an artifact, or into the text of one of the stages on the way.
#include "Commands.h"
#include "Compiler.h"
#include "support/File.h"
#include "support/Json.h"

#include <filesystem>
#include <fmt/format.h>

namespace tilewright::tools {

static ExitCode writeText(const std::string &path, const std::string &text) {
  if (path.empty() || path == "-") {
    std::fwrite(text.data(), 1, text.size(), stdout);
    return ExitCode::Ok;
  }
  auto file = OutputFile::create(path);
  if (!file)
    return report(file.problem());
  if (auto problem = file->write(text))
    return report(*problem);
  if (auto problem = file->commit())
    return report(*problem);
  return ExitCode::Ok;
}

ExitCode compileCommand(const CompileOptions &options) {
  if (options.emit.empty() && options.output.empty())
    return report(
        usageProblem("TW5003", "where should the artifact go?", "add -o OUT.so, or --emit=STAGE for text"));
  auto compiler = Compiler::open();
  if (!compiler)
    return report(compiler.problem());
  CompilerCall call(options.common, /*quiet=*/false);
  bool text = !options.emit.empty();
  call.options().emit = text ? options.emit.c_str() : nullptr;
  call.options().weights = options.weights.c_str();
  // The text is written here, but only the compiler knows all that the model is read from.
  call.options().result_path = text ? options.output.c_str() : nullptr;
  double start = monotonicSeconds();
  tw_status status = (*compiler)->compile(options.common.model.c_str(),
                                          text ? nullptr : options.output.c_str(), &call.options());
  ExitCode code = call.finish(status);
  // PTX of the kernels that have some is worth reading although others have none; it says so itself.
  if (code == ExitCode::Unsupported && options.emit == "ptx" && !call.text().empty())
    if (ExitCode written = writeText(options.output, call.text()); written != ExitCode::Ok)
      return written;
  if (code != ExitCode::Ok)
    return code;
  if (text)
    return writeText(options.output, call.text());
  std::error_code error;
  auto bytes = std::filesystem::file_size(options.output, error);
  if (!error)
    fmt::print("{}: {}B in {:.2f} s\n", options.output, scaledText(static_cast<double>(bytes)),
               monotonicSeconds() - start);
  return ExitCode::Ok;
}

} // namespace tilewright::tools
