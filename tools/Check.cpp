/// tilewright check: every unsupported or invalid node of a model at once.
#include "Commands.h"
#include "Compiler.h"
#include "support/Json.h"

#include <fmt/format.h>

namespace tilewright::tools {

static const char *statusName(ExitCode code) {
  return code == ExitCode::Ok            ? "warning"
         : code == ExitCode::Unsupported ? "unsupported"
         : code == ExitCode::Invalid     ? "invalid"
         : code == ExitCode::Io          ? "io"
                                         : "internal";
}

static Json toJson(const Diagnostic &d) {
  return {{"status", statusName(d.exit)},
          {"code", d.code},
          {"message", d.message},
          {"hint", d.hint},
          {"node", d.node},
          {"op", d.op},
          {"tensor", d.tensor}};
}

static Json toJson(const std::string &model, ExitCode code, const CompilerCall &call) {
  Json list = Json::array();
  for (auto *diagnostics : {&call.diagnostics(), &call.warnings()})
    for (const Diagnostic &d : *diagnostics)
      list.push_back(toJson(d));
  return {{"model", model}, {"ok", code == ExitCode::Ok}, {"diagnostics", std::move(list)}};
}

ExitCode checkCommand(const CheckOptions &options) {
  auto compiler = Compiler::open();
  if (!compiler)
    return report(compiler.problem());
  CompilerCall call(options.common, /*quiet=*/options.json);
  ExitCode code = call.finish((*compiler)->check(options.common.model.c_str(), &call.options()));
  if (options.json) {
    fmt::print("{}\n", jsonText(toJson(options.common.model, code, call), 2));
    return code;
  }
  fmt::print("{}", call.text());
  if (code == ExitCode::Ok)
    fmt::print("{}: every node is supported\n", options.common.model);
  else
    fmt::print(stderr, "{}: {} problem{}\n", options.common.model, call.diagnostics().size(),
               call.diagnostics().size() == 1 ? "" : "s");
  return code;
}

} // namespace tilewright::tools
