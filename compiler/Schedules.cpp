#include "compiler/Schedules.h"

using llvm::StringRef;
namespace json = llvm::json;

namespace tilewright::compiler {

static llvm::Error malformed(const std::string &what) {
  return codegen::makeError(
      3601, codegen::Fault::Invalid, "the schedules are not understood: " + what,
      "write {\"schedules\": {HASH: {\"algorithm\": NAME, \"parameters\": {NAME: NUMBER}}}}, as "
      "'tilewright inspect --json' does");
}

static llvm::Error readParameters(const json::Value &value, const std::string &hash,
                                  passes::ScheduleOverride &to) {
  const json::Object *object = value.getAsObject();
  if (!object)
    return malformed("'parameters' of " + hash + " is no object");
  for (auto &[name, number] : *object) {
    const auto integer = number.getAsInteger();
    if (!integer)
      return malformed("'" + name.str() + "' of " + hash + " is no whole number");
    to.parameters.emplace_back(name.str(), *integer);
  }
  return llvm::Error::success();
}

static llvm::Error readSchedule(const json::Value &value, const std::string &hash,
                                passes::ScheduleOverride &to) {
  const json::Object *object = value.getAsObject();
  if (!object)
    return malformed("what is given for " + hash + " is no object");
  for (auto &[member, content] : *object) {
    const StringRef name = member;
    if (name == "parameters") {
      if (llvm::Error error = readParameters(content, hash, to))
        return error;
      continue;
    }
    const auto text = content.getAsString();
    if ((name != "family" && name != "algorithm") || !text)
      return malformed("'" + name.str() + "' of " + hash + (text ? " is not known" : " is no text"));
    (name == "family" ? to.family : to.algorithm) = text->str();
  }
  return llvm::Error::success();
}

llvm::Expected<passes::ScheduleOverrides> parseSchedules(StringRef text) {
  auto parsed = json::parse(text);
  if (!parsed)
    return malformed(llvm::toString(parsed.takeError()));
  const json::Object *whole = parsed->getAsObject();
  const json::Object *all = whole ? whole->getObject("schedules") : nullptr;
  if (!all)
    return malformed("there is no object \"schedules\"");
  passes::ScheduleOverrides overrides;
  for (auto &[hash, value] : *all)
    if (llvm::Error error = readSchedule(value, "'" + hash.str() + "'", overrides[hash.str()]))
      return std::move(error);
  return overrides;
}

json::Object toJson(kernel::ScheduleAttr schedule) {
  json::Object parameters;
  for (mlir::NamedAttribute parameter : schedule.getParameters())
    parameters[parameter.getName().getValue()] = *schedule.find(parameter.getName());
  return json::Object{{"family", schedule.getFamily().getValue()},
                      {"algorithm", schedule.getAlgorithm().getValue()},
                      {"parameters", std::move(parameters)}};
}

} // namespace tilewright::compiler
