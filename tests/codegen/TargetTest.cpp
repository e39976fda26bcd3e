//===- TargetTest.cpp - the table of CPUs ---------------------------------===//
#include "Support.h"
#include "codegen/target/Architecture.h"

#include <gtest/gtest.h>
#include <set>

using namespace tilewright::codegen;
using namespace tilewright::codegen::testing;

namespace {

/// A processor with exactly the given features.
llvm::Expected<TargetInfo> processor(llvm::StringRef name, std::set<std::string> features) {
  return x86.forProcessor(name, [&](llvm::StringRef feature) { return features.count(feature.str()) > 0; });
}

bool multipliesBytes(const TargetInfo &target) {
  return llvm::any_of(target.integerProducts,
                      [](const IntegerProduct &product) { return product.group == 4; });
}

const std::set<std::string> avx2 = {"avx2", "fma", "f16c", "bmi", "bmi2", "lzcnt", "movbe"};

std::set<std::string> withAvx512(std::set<std::string> more = {}) {
  more.insert(avx2.begin(), avx2.end());
  more.insert({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"});
  return more;
}

TEST(Target, EveryNameResolvesToConsistentFacts) {
  std::set<std::string> texts;
  for (const std::string &name : targetNames()) {
    auto target = resolveTarget("cpu:" + name);
    ASSERT_TRUE(static_cast<bool>(target)) << name;
    EXPECT_EQ(target->name, name);
    const bool avx512 = target->vectorBits == 512;
    EXPECT_EQ(target->vectorRegisters, avx512 ? 32u : 16u);
    EXPECT_EQ((target->requiredCpuFeatures & TW_X86_AVX512) != 0, avx512);
    EXPECT_EQ((target->requiredCpuFeatures & (avx512 ? TW_X86_AVX512_VNNI : TW_X86_AVX_VNNI)) != 0,
              multipliesBytes(*target));
    EXPECT_LT(target->l1Bytes, target->l2Bytes);
    EXPECT_TRUE(texts.insert(canonicalText(*target)).second) << name;
  }
}

TEST(Target, NamedTargetHasItsExtensions) {
  const TargetInfo target = llvm::cantFail(resolveTarget("cpu:sapphirerapids"));
  EXPECT_EQ(target.cpu, "x86-64-v4");
  EXPECT_EQ(target.tuneCpu, "sapphirerapids");
  EXPECT_EQ(target.features, "+avx512vnni,+avxvnni,+avx512bf16,+avx512fp16");
  EXPECT_TRUE(multipliesBytes(target));
  const TargetInfo haswell = llvm::cantFail(resolveTarget("cpu:haswell"));
  EXPECT_EQ(haswell.requiredCpuFeatures, uint64_t(TW_X86_AVX2));
  EXPECT_EQ(haswell.lanes(32), 8u);
  EXPECT_EQ(haswell.features, "");
}

TEST(Target, HostRunsItsOwnTarget) {
  const TargetInfo target = llvm::cantFail(resolveTarget("cpu"));
  EXPECT_TRUE(hostCanRun(target));
  EXPECT_TRUE(hostCanRun(llvm::cantFail(resolveTarget("cpu:haswell"))));
  TargetInfo impossible = target;
  impossible.requiredCpuFeatures |= uint64_t(1) << 63;
  EXPECT_FALSE(hostCanRun(impossible));
}

TEST(Target, UnknownProcessorGetsTheWidestFittingRow) {
  EXPECT_EQ(llvm::cantFail(processor("futurelake", withAvx512())).name, "x86-64-v4");
  const TargetInfo vnni = llvm::cantFail(processor("futurelake", withAvx512({"avx512vnni"})));
  EXPECT_TRUE(multipliesBytes(vnni));
  EXPECT_EQ(vnni.features, "+avx512vnni");
  EXPECT_EQ(llvm::cantFail(processor("futurelake", avx2)).name, "x86-64-v3");
}

TEST(Target, MaskedFeaturesAreNotUsed) {
  // A hypervisor may hide VNNI from a Cascade Lake, or all of AVX-512, or one part of it.
  const TargetInfo noVnni = llvm::cantFail(processor("cascadelake", withAvx512()));
  EXPECT_EQ(noVnni.name, "cascadelake");
  EXPECT_FALSE(multipliesBytes(noVnni));
  EXPECT_EQ(noVnni.requiredCpuFeatures, uint64_t(TW_X86_AVX2 | TW_X86_AVX512));
  std::set<std::string> partial = withAvx512({"avx512vnni"});
  partial.erase("avx512vl");
  const TargetInfo narrow = llvm::cantFail(processor("cascadelake", partial));
  EXPECT_EQ(narrow.vectorBits, 256u);
  EXPECT_FALSE(multipliesBytes(narrow));
  EXPECT_EQ(narrow.requiredCpuFeatures, uint64_t(TW_X86_AVX2));
}

TEST(Target, OldProcessorIsRefusedClearly) {
  const ErrorText error = errorOf(processor("sandybridge", {"fma"}).takeError());
  EXPECT_EQ(error.code, 3002);
  EXPECT_NE(error.text.find("sandybridge"), std::string::npos);
  EXPECT_NE(error.text.find("AVX2"), std::string::npos);
}

TEST(Target, UnknownNamesSuggestAndList) {
  const ErrorText near = errorOf(resolveTarget("cpu:haswel").takeError());
  EXPECT_EQ(near.code, 3001);
  EXPECT_NE(near.text.find("Did you mean 'cpu:haswell'?"), std::string::npos) << near.text;
  EXPECT_NE(near.text.find("cpu:znver4"), std::string::npos);
  const ErrorText far = errorOf(resolveTarget("tpu").takeError());
  EXPECT_EQ(far.text.find("Did you mean"), std::string::npos) << far.text;
  EXPECT_EQ(errorOf(resolveTarget("").takeError()).code, 3001);
  EXPECT_EQ(errorOf(resolveTarget("cpu:").takeError()).code, 3001);
  EXPECT_NE(errorOf(resolveTarget("skylake-avx512").takeError()).text.find("cpu:skylake-avx512'?"),
            std::string::npos);
}

TEST(Target, OtherArchitecturesAreNamedByTheirTriple) {
  const TargetInfo plain = llvm::cantFail(resolveTarget("aarch64-linux-gnu"));
  EXPECT_EQ(plain.features, "");
  EXPECT_EQ(plain.lanes(32), 4u);
  EXPECT_FALSE(multipliesBytes(plain));
  EXPECT_EQ(plain.requiredCpuFeatures, TW_CPU_AARCH64);
  const TargetInfo dot = llvm::cantFail(resolveTarget("aarch64-linux-gnu:neoverse-n1"));
  EXPECT_EQ(dot.features, "+dotprod");
  EXPECT_TRUE(multipliesBytes(dot));
  EXPECT_EQ(dot.requiredCpuFeatures, TW_CPU_AARCH64 | TW_AARCH64_DOTPROD);
  EXPECT_EQ(
      llvm::cantFail(aarch64.forProcessor("cortex-a76", [](llvm::StringRef) { return false; })).features, "");
  EXPECT_EQ(llvm::cantFail(resolveTarget("x86_64-linux-gnu:haswell")).name, "haswell");
  EXPECT_EQ(errorOf(resolveTarget("aarch64-linux-gnu:").takeError()).code, 3001);
  EXPECT_EQ(errorOf(resolveTarget("aarch64:neoverse-n1").takeError()).code, 3001);
  EXPECT_NE(errorOf(resolveTarget("aarch64-linux-gnu:neoverse-n3").takeError())
                .text.find("Did you mean 'aarch64-linux-gnu:neoverse-n"),
            std::string::npos);
}

} // namespace
