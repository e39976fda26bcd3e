/// The compiler's C interface, called wrongly: refused, and nothing behind `struct_size` is looked at.
#include "Fixture.h"
#include "compiler/tilewright_compiler.h"

#include <cmath>
#include <cstring>
#include <functional>

using namespace tilewright;
using namespace tilewright::onnxwriter;
using namespace tilewright::hostile;

namespace {

class CompilerInterface : public Hostile {
protected:
  std::string file =
      model(GraphWriter("g").input("x", ElementType::Float32, {2}).node("Relu", {"x"}, {"y"}).output("y"));
  static twc_options options(std::string *codes = nullptr) {
    twc_options result{};
    result.struct_size = sizeof result;
    result.cache_dir = "";
    result.user = codes;
    if (codes)
      result.diagnostic = [](void *user, const twc_diagnostic *problem) {
        *static_cast<std::string *>(user) += problem->code;
      };
    return result;
  }
};

} // namespace

TEST_F(CompilerInterface, FieldsBehindStructSizeAreNotRead) {
  for (uint32_t size : {0u, 4u, 7u, 8u}) {
    twc_options short_;
    memset(&short_, 0x7f, sizeof short_);
    short_.struct_size = size;
    short_.threads = 1;
    EXPECT_EQ(twc_check(file.c_str(), &short_), TW_OK) << size;
    EXPECT_EQ(twc_compile(file.c_str(), path("m.so").c_str(), &short_), TW_OK) << size;
  }
  EXPECT_EQ(twc_check(file.c_str(), nullptr), TW_OK);
}

TEST_F(CompilerInterface, WhatOptionsCannotHoldIsRefused) {
  const twc_dim nameless{nullptr, 1, 2};
  const std::pair<const char *, std::function<void(twc_options &)>> cases[] = {
      {"threads", [](twc_options &o) { o.threads = -1; }},
      {"flags", [](twc_options &o) { o.flags = 1u << 30; }},
      {"precision", [](twc_options &o) { o.precision = "exact"; }},
      {"weights", [](twc_options &o) { o.weights = "nowhere"; }},
      {"emit", [](twc_options &o) { o.emit = "all"; }},
      {"negative seconds", [](twc_options &o) { o.max_seconds = -1; }},
      {"no number of seconds", [](twc_options &o) { o.max_seconds = std::nan(""); }},
      {"no dims", [](twc_options &o) { o.dim_count = 1; }},
      {"a dim without a name", [&](twc_options &o) { o.dims = &nameless, o.dim_count = 1; }}};
  for (auto &[name, change] : cases) {
    std::string codes;
    twc_options wrong = options(&codes);
    change(wrong);
    EXPECT_EQ(twc_compile(file.c_str(), path("m.so").c_str(), &wrong), TW_INVALID) << name;
    EXPECT_EQ(codes, "TW4501") << name;
  }
}

TEST_F(CompilerInterface, NoModelPath) {
  for (auto &call : std::initializer_list<std::function<tw_status(const twc_options *)>>{
           [](const twc_options *o) { return twc_check(nullptr, o); },
           [](const twc_options *o) { return twc_inspect(nullptr, o); },
           [this](const twc_options *o) { return twc_compile(nullptr, path("m.so").c_str(), o); }}) {
    std::string codes;
    twc_options plain = options(&codes);
    EXPECT_EQ(call(&plain), TW_INVALID);
    EXPECT_EQ(codes, "TW4501");
    EXPECT_EQ(call(nullptr), TW_INVALID);
  }
}

class Schedules : public CompilerInterface {
protected:
  /// What inspect prints under `schedules`, and the codes of what it reports.
  std::pair<std::string, std::string> inspect(const char *schedules) {
    std::pair<std::string, std::string> result;
    twc_options given = options();
    given.user = &result;
    given.schedules = schedules;
    given.diagnostic = [](void *user, const twc_diagnostic *problem) {
      static_cast<decltype(result) *>(user)->second += problem->code;
    };
    given.text = [](void *user, const char *bytes, size_t count) {
      static_cast<decltype(result) *>(user)->first.append(bytes, count);
    };
    status = twc_inspect(file.c_str(), &given);
    return result;
  }
  static std::string replaced(std::string text, const std::string &from, const std::string &to) {
    const size_t at = text.find(from);
    return at == std::string::npos ? "" : text.replace(at, from.size(), to);
  }
  tw_status status = TW_OK;
};

TEST_F(Schedules, WhatInspectPrintsIsReadAgain) {
  const std::string report = inspect(nullptr).first;
  ASSERT_EQ(status, TW_OK);
  EXPECT_EQ(inspect(report.c_str()).first, report);
  const std::string changed = replaced(report, "\"vectors\":1", "\"vectors\":4");
  ASSERT_NE(changed, "");
  const auto [with, codes] = inspect(changed.c_str());
  EXPECT_EQ(codes, "");
  EXPECT_NE(with.find("\"vectors\":4"), std::string::npos);
  EXPECT_NE(with.find("vectors = 4>"), std::string::npos) << "the kernel's schedule is the one given";
  twc_options given = options();
  given.schedules = changed.c_str();
  EXPECT_EQ(twc_compile(file.c_str(), path("scheduled.so").c_str(), &given), TW_OK);
}

TEST_F(Schedules, WhatIsWrongIsRefused) {
  const std::string report = inspect(nullptr).first;
  for (const auto &[from, to] : {std::pair("\"vectors\":1", "\"vectors\":3"),
                                 {"\"vectors\":1", "\"speed\":1"},
                                 {"\"algorithm\":\"loops\"", "\"algorithm\":\"tiles\""},
                                 {"\"family\":\"loops\"", "\"family\":\"product\""}}) {
    EXPECT_EQ(inspect(replaced(report, from, to).c_str()).second, "TW3602") << to;
    EXPECT_EQ(status, TW_INVALID) << to;
  }
  for (const char *text : {"{", "[]", "{}", R"({"schedules": 1})", R"({"schedules": {"a": 1}})",
                           R"({"schedules": {"a": {"algorithm": 1}}})", R"({"schedules": {"a": {"x": "y"}}})",
                           R"({"schedules": {"a": {"parameters": {"vectors": "many"}}}})",
                           R"({"schedules": {"a": {"parameters": {"vectors": 1.5}}}})"}) {
    EXPECT_EQ(inspect(text).second, "TW3601") << text;
    EXPECT_EQ(status, TW_INVALID) << text;
  }
  EXPECT_EQ(inspect(R"({"schedules": {"0123456789abcdef": {}}})").second, "TW3603");
  EXPECT_EQ(status, TW_OK) << "one for another model is only a warning";
}
