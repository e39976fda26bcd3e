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
