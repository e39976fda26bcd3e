//===- LinkTest.cpp - what the linker makes and refuses -------------------===//
#include "codegen/artifact/Link.h"
#include "Support.h"

#include <cstring>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

using namespace tilewright::codegen;
using namespace tilewright::codegen::testing;

namespace {

const TargetInfo &target() {
  static const TargetInfo info = llvm::cantFail(resolveTarget("cpu:haswell"));
  return info;
}

std::string object(const std::string &text) { return llvm::cantFail(compileText(text, target())).bytes; }

std::string descriptor() { return llvm::cantFail(emitDescriptor({}, target())); }

const char *const emptyProgram =
    "func.func @tilewright_program(%frame: !llvm.ptr, %thread: i32, %threads: i32) { return }\n";

TEST(Link, ExportsTheDescriptorAlone) {
  const std::string code = object(std::string(emptyProgram) + emptyFunctions);
  const std::string result = llvm::cantFail(linkSharedObject({code, descriptor()}, x86));
  EXPECT_EQ(dynamicSymbols(result, false), std::vector<std::string>{"tilewright_model"});
  EXPECT_TRUE(dynamicSymbols(result, true).empty());
  EXPECT_LT(result.size(), 16384u); // the unused built-ins are gone
}

TEST(Link, MissingFunctionIsNamed) {
  const std::string code = object(emptyProgram);
  const ErrorText error = errorOf(linkSharedObject({code, descriptor()}, x86).takeError());
  EXPECT_EQ(error.code, 9210);
  EXPECT_NE(error.text.find("'tilewright_"), std::string::npos) << error.text;
  // A call that LLVM makes of an operation without an instruction.
  const std::string sine = object(std::string(emptyFunctions) + R"(
    func.func @tilewright_program(%frame: !llvm.ptr, %thread: i32, %threads: i32) {
      %x = llvm.load %frame : !llvm.ptr -> f32
      %y = math.sin %x : f32
      llvm.store %y, %frame : f32, !llvm.ptr
      return })");
  const ErrorText missing = errorOf(linkSharedObject({sine, descriptor()}, x86).takeError());
  EXPECT_EQ(missing.code, 9210);
  EXPECT_NE(missing.text.find("'sinf'"), std::string::npos) << missing.text;
}

TEST(Link, DuplicateIsNamed) {
  const std::string code = object(std::string(emptyProgram) + emptyFunctions), again = object(emptyProgram);
  const ErrorText error = errorOf(linkSharedObject({code, again, descriptor()}, x86).takeError());
  EXPECT_EQ(error.code, 9211);
  EXPECT_NE(error.text.find("tilewright_program"), std::string::npos) << error.text;
}

TEST(Link, DamagedObjectIsAnErrorAndTheNextLinkWorks) {
  const std::string code = object(std::string(emptyProgram) + emptyFunctions);
  EXPECT_EQ(errorOf(linkSharedObject({"not an object", descriptor()}, x86).takeError()).code, 9212);
  const std::string half = code.substr(0, code.size() / 2);
  EXPECT_EQ(errorOf(linkSharedObject({half, descriptor()}, x86).takeError()).code, 9212);
  EXPECT_FALSE(llvm::cantFail(linkSharedObject({code, descriptor()}, x86)).empty());
}

TEST(Link, ObjectsCallEachOther) {
  const std::string kernel = object(R"(func.func @kernel(%p: !llvm.ptr) {
    %x = llvm.load %p : !llvm.ptr -> i64
    %y = arith.addi %x, %x : i64
    llvm.store %y, %p : i64, !llvm.ptr
    return })");
  const std::string caller = object(std::string(emptyFunctions) + R"(
    func.func private @kernel(!llvm.ptr)
    func.func @tilewright_program(%frame: !llvm.ptr, %thread: i32, %threads: i32) {
      func.call @kernel(%frame) : (!llvm.ptr) -> ()
      return })");
  TemporaryFolder folder;
  writeFile(folder.file("a.so"), llvm::cantFail(linkSharedObject({caller, kernel, descriptor()}, x86)));
  LoadedArtifact artifact(folder.file("a.so"));
  ASSERT_TRUE(artifact.descriptor());
  int64_t value = 21;
  artifact.descriptor()->program(reinterpret_cast<tw_frame *>(&value), 0, 1);
  EXPECT_EQ(value, 42);
}

TEST(Link, ManyObjectsTakeFewDescriptors) {
  std::vector<std::string> objects = {object(std::string(emptyProgram) + emptyFunctions), descriptor()};
  for (int i = 0; i < 60; ++i)
    objects.push_back(object("func.func @kernel" + std::to_string(i) + "(%p: !llvm.ptr) { return }"));
  const std::vector<llvm::StringRef> all(objects.begin(), objects.end());
  rlimit usual{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &usual), 0);
  const int next = dup(0); // the lowest number that is free
  close(next);
  auto linked = [&](int more) {
    rlimit few = usual;
    few.rlim_cur = rlim_t(next + more);
    setrlimit(RLIMIT_NOFILE, &few);
    auto result = linkSharedObject(all, x86);
    setrlimit(RLIMIT_NOFILE, &usual);
    return result;
  };
  EXPECT_FALSE(llvm::cantFail(linked(20)).empty());
  for (int more = 0; more < 6; ++more)
    if (auto result = linked(more); !result)
      EXPECT_EQ(errorOf(result.takeError()).code, 5010) << more;
}

TEST(Link, ThreadsTakeTurnsAndResultsAreEqual) {
  const std::string code = object(std::string(emptyProgram) + emptyFunctions), model = descriptor();
  std::vector<std::string> results(6);
  std::vector<std::thread> threads;
  for (std::string &result : results)
    threads.emplace_back([&] { result = llvm::cantFail(linkSharedObject({code, model}, x86)); });
  for (std::thread &thread : threads)
    thread.join();
  for (const std::string &result : results)
    EXPECT_EQ(result, results.front());
}

TEST(Link, EveryArchitectureCanBeLinkedForAnywhere) {
  for (const Architecture *architecture : architectures()) {
    const std::string name = architecture->name;
    for (const std::string &cpu : architecture->names()) {
      const TargetInfo target = llvm::cantFail(resolveTarget(name + "-linux-gnu:" + cpu));
      EXPECT_EQ(target.architecture, architecture) << name;
      EXPECT_EQ(target.name, cpu);
    }
    const TargetInfo target = llvm::cantFail(resolveTarget(name + "-linux-gnu"));
    // A call that LLVM makes of an operation without an instruction.
    const std::string code = llvm::cantFail(compileText(std::string(emptyFunctions) + R"(
      func.func @tilewright_program(%frame: !llvm.ptr, %thread: i32, %threads: i32) {
        %x = llvm.load %frame : !llvm.ptr -> i128
        %y = llvm.mlir.constant(10 : i128) : i128
        %n = arith.extui %threads : i32 to i128
        %z = arith.addi %n, %y : i128
        %q = arith.divui %x, %z : i128
        llvm.store %q, %frame : i128, !llvm.ptr
        return
      })",
                                                        target))
                                 .bytes;
    const std::string model = llvm::cantFail(emitDescriptor({}, target));
    const std::string linked = llvm::cantFail(linkSharedObject({code, model}, *architecture));
    EXPECT_EQ(dynamicSymbols(linked, false), std::vector<std::string>{"tilewright_model"}) << name;
    EXPECT_TRUE(dynamicSymbols(linked, true).empty()) << name;
    uint16_t machine;
    memcpy(&machine, linked.data() + 18, sizeof machine); // e_machine
    std::string named;
#define NAME_OF(number, text)                                                                                \
  if (machine == number)                                                                                     \
    named = text;
    TW_ARCHITECTURES(NAME_OF)
#undef NAME_OF
    EXPECT_EQ(named, name);
    // What one architecture's linker makes of another's object is an error of ours, and no crash.
    for (const Architecture *other : architectures())
      if (other != architecture)
        EXPECT_EQ(errorOf(linkSharedObject({code, model}, *other).takeError()).code, 9212);
  }
}

} // namespace
