/// Files that are inputs and outputs at once, damaged, swapped, or none: through the real driver.
#include "Fixture.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sys/stat.h>
#include <zlib.h>

using namespace tilewright;
using namespace tilewright::onnxwriter;
using namespace tilewright::hostile;
namespace fs = std::filesystem;

namespace {

class Files : public Hostile {
protected:
  /// y = x + w, with the weights in a file; another file has a tensor that nobody uses.
  std::string external(const std::string &name = "model.onnx", const std::string &data = "model.data") {
    write(data, std::string(4096, '\1'));
    write("unused.data", std::string(4096, '\2'));
    return write(
        name,
        ModelWriter(
            GraphWriter("g")
                .input("x", ElementType::Float32, {1024})
                .initializer(tensorExternal("w", ElementType::Float32, {1024}, {{"location", data}}))
                .initializer(tensorExternal("v", ElementType::Float32, {1024}, {{"location", "unused.data"}}))
                .node("Add", {"x", "w"}, {"y"})
                .output("y"))
            .opset(17)
            .bytes());
  }
  /// An embedded weight of `count` floats.
  std::string adding(float value, const std::string &name, int64_t count = 1024) {
    return write(name,
                 ModelWriter(GraphWriter("g")
                                 .input("x", ElementType::Float32, {count})
                                 .initializer(tensor<float>("w", {count}, std::vector<float>(count, value)))
                                 .node("Add", {"x", "w"}, {"y"})
                                 .output("y"))
                     .opset(17)
                     .bytes());
  }
  /// The command must refuse, and change nothing.
  void expectSpared(const std::string &words) {
    std::map<std::string, std::string> before;
    for (const std::string &name : entries())
      before[name] = read(name);
    Ran ran = driver(words);
    EXPECT_EQ(ran.exit, 5) << words << ": " << ran.err;
    EXPECT_NE(ran.err.find("TW5014"), std::string::npos) << words << ": " << ran.err;
    for (const auto &[name, content] : before)
      EXPECT_TRUE(read(name) == content) << words << " changed " << name;
    EXPECT_EQ(entries().size(), before.size()) << words;
  }
};

std::string flipped(std::string bytes, size_t at) {
  bytes[at] = char(bytes[at] ^ 0x10);
  return bytes;
}

} // namespace

TEST_F(Files, NothingIsWrittenOverWhatTheModelIsReadFrom) {
  const std::string file = external();
  fs::create_symlink("model.onnx", path("link"));
  fs::create_hard_link(path("model.data"), path("hard"));
  for (const char *victim : {"model.onnx", "model.data", "unused.data", "link", "hard"}) {
    expectSpared("compile " + file + " -o " + path(victim));
    expectSpared("compile " + file + " --emit=graph -o " + path(victim));
    expectSpared("compile " + file + " --emit=asm -o " + path(victim));
    expectSpared("run " + file + " --outputs " + path(victim));
  }
  // The name of the side file is taken by the data.
  const std::string other = external("other.onnx", "out.weights");
  expectSpared("compile " + other + " --weights=side -o " + path("out.so"));
}

TEST_F(Files, NothingIsWrittenOverWhatARunReads) {
  const std::string file = adding(1, "model.onnx"), artifact = path("model.so");
  ASSERT_EQ(driver("compile " + file + " --weights=side -o " + artifact).exit, 0);
  const std::string in =
      given({{"x", tools::test::tensorOf<float>(TW_F32, {1024}, std::vector<float>(1024))}});
  for (const char *victim : {"model.so", "model.weights", "in.npz"})
    expectSpared("run " + artifact + in + " --outputs " + path(victim));
  EXPECT_EQ(driver("run " + artifact + in + " --outputs " + path("out.npz")).exit, 0);
  EXPECT_EQ(driver("run " + artifact + in + " --outputs " + path("out.npz")).exit, 0)
      << "an old result may go";
}

TEST_F(Files, EveryArtifactHasItsOwnWeights) {
  ASSERT_EQ(driver("compile " + adding(1, "a.onnx") + " --weights=side -o " + path("net.v1")).exit, 0);
  ASSERT_EQ(driver("compile " + adding(2, "b.onnx") + " --weights=side -o " + path("net.v2")).exit, 0);
  const std::string in =
      given({{"x", tools::test::tensorOf<float>(TW_F32, {1024}, std::vector<float>(1024))}});
  for (float value : {1.f, 2.f}) {
    const std::string artifact = path(value == 1 ? "net.v1" : "net.v2");
    ASSERT_EQ(driver("run " + artifact + in + " --outputs " + path("out.npz")).exit, 0);
    EXPECT_EQ(tools::test::valuesOf<float>(output("y")).back(), value);
  }
}

TEST_F(Files, WeightsGoOverNothingButTheirOwn) {
  const std::string file = adding(1, "model.onnx");
  ASSERT_EQ(driver("compile " + file + " --weights=side -o " + path("net.so")).exit, 0);
  EXPECT_EQ(driver("compile " + file + " --weights=side -o " + path("net.so")).exit, 0)
      << "an earlier one may go";
  expectSpared("compile " + file + " --weights=side -o " + path("net"));
  write("other.weights", "years of work");
  expectSpared("compile " + file + " --weights=side -o " + path("other.so"));
  EXPECT_EQ(driver("run " + path("net.so")).exit, 0);
}

TEST_F(Files, DamagedArtifactsAreRefused) {
  const std::string artifact = path("model.so"), side = path("side.so");
  ASSERT_EQ(driver("compile " + adding(1, "model.onnx") + " -o " + artifact).exit, 0);
  ASSERT_EQ(driver("compile " + adding(1, "model.onnx") + " --weights=side -o " + side).exit, 0);
  std::mt19937 random(1);
  for (const auto &[damaged, load] :
       {std::pair(std::string("model.so"), artifact), std::pair(std::string("side.so"), side),
        std::pair(std::string("side.weights"), side)}) {
    const std::string whole = read(damaged);
    for (int round = 0; round < 60; ++round) {
      fs::remove(path(damaged));
      write(damaged, flipped(whole, random() % whole.size()));
      Ran ran = driver((round % 2 ? "run " : "inspect ") + load);
      ASSERT_EQ(ran.exit, 4) << damaged << ": " << ran.err;
      ASSERT_NE(ran.err.find("error TW40"), std::string::npos) << ran.err;
    }
    fs::remove(path(damaged));
    write(damaged, whole);
    EXPECT_EQ(driver("run --verify " + load).exit, 0);
  }
}

TEST_F(Files, WhatIsNoRegularFile) {
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  const std::string file = adding(1, "model.onnx");
  for (const char *command : {"check ", "inspect ", "run ", "bench "})
    for (const char *name : {"pipe", "", "/dev/zero"})
      expectError(driver(command + (*name == '/' ? std::string(name) : path(name)), "timeout 20 "), 5,
                  {"error TW"});
  expectError(driver("run " + file + " --inputs /dev/zero", "timeout 20 "), 5, {"TW5101"});
  // A giant that holds nothing.
  for (const char *name : {"giant.onnx", "giant.npz"}) {
    write(name, "");
    fs::resize_file(path(name), uint64_t(1) << 42);
  }
  for (const char *command : {"check ", "run "}) {
    Ran ran = driver(command + path("giant.onnx"), "timeout 20 ");
    EXPECT_TRUE(ran.exit == 4 || ran.exit == 5) << ran.err;
  }
  expectError(driver("run " + file + " --inputs " + path("giant.npz"), "timeout 20 "), 4, {"TW5201"});
  const std::string outside = external();
  fs::remove(path("model.data"));
  ASSERT_EQ(mkfifo(path("model.data").c_str(), 0600), 0);
  expectError(driver("check " + outside, "timeout 20 "), 5, {"TW1014"});
}

TEST_F(Files, CacheEntriesThatAreNone) {
  const std::string file = adding(1, "model.onnx");
  const std::string cache = "TILEWRIGHT_CACHE_DIR=" + path("cache") + " timeout 60 ";
  ASSERT_EQ(driver("compile " + file + " -o " + path("a.so"), cache).exit, 0);
  const std::string whole = read("a.so");
  auto replaceAll = [&](auto replace) {
    const std::vector<fs::directory_entry> present(fs::directory_iterator(path("cache")), {});
    EXPECT_FALSE(present.empty());
    for (const auto &entry : present) {
      fs::remove(entry.path());
      replace(entry.path());
    }
    EXPECT_EQ(driver("compile " + file + " -o " + path("b.so"), cache).exit, 0);
    EXPECT_TRUE(read("b.so") == whole);
    for (const auto &entry : fs::directory_iterator(path("cache")))
      EXPECT_TRUE(entry.is_directory() || (entry.is_regular_file() && entry.file_size() < 1 << 20))
          << entry.path().string() << " was not replaced";
  };
  replaceAll([](const fs::path &entry) { mkfifo(entry.c_str(), 0600); });
  replaceAll([](const fs::path &entry) {
    std::ofstream(entry) << "";
    fs::resize_file(entry, uint64_t(1) << 42);
  });
  replaceAll([](const fs::path &entry) { fs::create_symlink("/dev/zero", entry); });
  replaceAll([](const fs::path &entry) { std::ofstream(entry) << "nonsense"; });
  replaceAll([](const fs::path &entry) { fs::create_directory(entry); });
}

TEST_F(Files, CompressedInputsAreNotTrusted) {
  // 256 MB of zeros behind an array of 4 KB, and an honest array that is much too large for the model.
  const std::string file = adding(1, "model.onnx");
  auto zip = [&](const std::string &name, const std::string &header, uint64_t zeros) {
    std::string packed(zeros / 900 + header.size() + 4096, '\0'), chunk(1 << 20, '\0');
    z_stream stream{};
    ASSERT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_out = reinterpret_cast<Bytef *>(packed.data());
    stream.avail_out = uInt(packed.size());
    uint32_t crc = uint32_t(crc32(0, reinterpret_cast<const Bytef *>(header.data()), uInt(header.size())));
    stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(header.data()));
    stream.avail_in = uInt(header.size());
    deflate(&stream, Z_NO_FLUSH);
    for (uint64_t done = 0; done < zeros; done += chunk.size()) {
      stream.next_in = reinterpret_cast<Bytef *>(chunk.data());
      stream.avail_in = uInt(chunk.size());
      crc = uint32_t(crc32(crc, stream.next_in, stream.avail_in));
      deflate(&stream, Z_NO_FLUSH);
    }
    ASSERT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed.resize(packed.size() - stream.avail_out);
    deflateEnd(&stream);
    std::string local, entry;
    auto put = [](std::string &to, uint64_t value, size_t bytes) {
      to.append(reinterpret_cast<const char *>(&value), bytes);
    };
    auto common = [&](std::string &to) {
      put(to, 20, 2), put(to, 0, 2), put(to, 8, 2), put(to, 0, 4), put(to, crc, 4), put(to, packed.size(), 4);
      put(to, header.size() + zeros, 4), put(to, 5, 2), put(to, 0, 2);
    };
    put(local, 0x04034b50, 4), common(local), local += "x.npy";
    put(entry, 0x02014b50, 4), put(entry, 20, 2), common(entry), put(entry, 0, 2), put(entry, 0, 2);
    put(entry, 0, 2), put(entry, 0, 4), put(entry, 0, 4), entry += "x.npy";
    std::string end;
    put(end, 0x06054b50, 4), put(end, 0, 4), put(end, 1, 2), put(end, 1, 2), put(end, entry.size(), 4);
    put(end, local.size() + packed.size(), 4), put(end, 0, 2);
    write(name, local + packed + entry + end);
  };
  constexpr uint64_t zeros = uint64_t(256) << 20;
  zip("behind.npz", tools::npyHeader(TW_F32, {1024}) + std::string(4096, '\0'), zeros);
  zip("large.npz", tools::npyHeader(TW_F32, {int64_t(zeros / 4)}), zeros);
  zip("fits.npz", tools::npyHeader(TW_F32, {1024}) + std::string(4096, '\0'), 0);
  ASSERT_EQ(driver("compile " + file + " -o " + path("model.so")).exit, 0);
  const std::string little = std::string(LIMITED) + " as=200000000 ";
  expectError(driver("run " + path("model.so") + " --inputs " + path("behind.npz"), little), 4, {"TW5202"});
  expectError(driver("run " + path("model.so") + " --inputs " + path("large.npz"), little), 4,
              {"TW5305", "1024"});
  EXPECT_EQ(driver("run " + path("model.so") + " --inputs " + path("fits.npz"), little).exit, 0);
}

TEST_F(Files, MoreDimensionsThanTheInterfaceHas) {
  auto negation = [&](int rank) {
    return model(GraphWriter("g")
                     .input("x", ElementType::Float32, Shape(size_t(rank), Dim(1)))
                     .node("Neg", {"x"}, {"y"})
                     .output("y"));
  };
  for (const char *command : {"check ", "compile "}) {
    const std::string rest = std::string(command) == "compile " ? " -o " + path("m.so") : "";
    expectError(driver(command + negation(17) + rest), 3, {"TW1213", "x", "17"});
    EXPECT_EQ(driver(command + negation(16) + rest).exit, 0);
  }
  // One that only an output has.
  std::vector<int64_t> shape(20, 1);
  shape[0] = 4;
  expectError(driver("check " + model(GraphWriter("g")
                                          .input("x", ElementType::Float32, {4})
                                          .initializer(tensorInt64Data("s", {20}, shape))
                                          .node("Reshape", {"x", "s"}, {"y"})
                                          .output("y"))),
              3, {"TW1213", "y", "20"});
  EXPECT_EQ(driver("run " + path("m.so")).exit, 0);
}
