//===- ExternalDataTest.cpp - weights in other files, and only in those ---===//

#include "tests/frontend/reader/ReaderTest.h"

#include <thread>

namespace tilewright::onnx {
namespace {

class ExternalData : public testing::Test {
protected:
  using Keys = std::vector<std::pair<std::string, std::string>>;

  std::unique_ptr<Model> model(const Keys &keys, std::vector<int64_t> dims = {2}) {
    std::string path = folder / "model.onnx";
    EXPECT_TRUE(modelWith({tensorExternal("w", ElementType::UInt8, dims, keys)}).save(path));
    auto result = readModel(path);
    EXPECT_TRUE(result) << result.error().text();
    return result ? std::move(*result) : nullptr;
  }
  /// The bytes of the tensor, or the error's code as text.
  std::string read(const Keys &keys) {
    auto owner = model(keys);
    if (!owner)
      return "unreadable";
    auto dense = owner->graph.initializers.at(0).read();
    if (!dense)
      EXPECT_EQ(dense.error().tensor, "w");
    return dense ? std::string(reinterpret_cast<const char *>(dense->data()), dense->size())
                 : dense.error().codeText();
  }
  /// The code with which the model itself is refused.
  int refusal(const Keys &keys) {
    return mustRefuse(modelWith({tensorExternal("w", ElementType::UInt8, {2}, keys)})).code;
  }

  TemporaryFolder folder;
};

TEST_F(ExternalData, IsReadFromBelowTheModelsFolder) {
  folder.write("weights.bin", "abcdef");
  std::filesystem::create_directory(folder / "sub");
  folder.write("sub/more.bin", "ghij");
  EXPECT_EQ(read({{"location", "weights.bin"}, {"offset", "2"}, {"length", "2"}}), "cd");
  EXPECT_EQ(read({{"location", "weights.bin"}}), "ab") << "offset and length are optional";
  EXPECT_EQ(read({{"location", "./sub//more.bin"}, {"offset", "2"}, {"checksum", "ignored"}}), "ij");
}

TEST_F(ExternalData, IsAViewThatLivesAsLongAsTheModel) {
  folder.write("weights.bin", "abcdef");
  auto owner = model({{"location", "weights.bin"}, {"offset", "4"}});
  auto first = owner->graph.initializers.at(0).view(), second = owner->graph.initializers.at(0).view();
  ASSERT_TRUE(first && second && first->has_value() && second->has_value());
  EXPECT_EQ((*first)->data(), (*second)->data()) << "mapped once";
}

TEST_F(ExternalData, OffsetsAndLengthsAreChecked) {
  folder.write("weights.bin", "abcdef");
  EXPECT_EQ(read({{"location", "weights.bin"}, {"offset", "5"}}), "TW1015");
  EXPECT_EQ(read({{"location", "weights.bin"}, {"offset", "7"}}), "TW1015");
  EXPECT_EQ(read({{"location", "weights.bin"}, {"offset", "18446744073709551615"}}), "TW1015")
      << "no wrap-around";
  EXPECT_EQ(refusal({{"location", "weights.bin"}, {"offset", "18446744073709551616"}}), 1015);
  EXPECT_EQ(refusal({{"location", "weights.bin"}, {"offset", "-1"}}), 1015);
  EXPECT_EQ(refusal({{"location", "weights.bin"}, {"length", "two"}}), 1015);
  EXPECT_EQ(refusal({{"location", "weights.bin"}, {"length", "3"}}), 1011) << "not what the shape needs";
}

TEST_F(ExternalData, NeverLeavesTheFolder) {
  std::filesystem::create_directory(folder / "sub");
  folder.write("outside.bin", "abcdef");
  ASSERT_TRUE(modelWith({tensorExternal("w", ElementType::UInt8, {2}, {{"location", "../outside.bin"}})})
                  .save(folder / "sub/model.onnx"));
  auto owner = readModel(folder / "sub/model.onnx");
  ASSERT_TRUE(owner);
  EXPECT_EQ((*owner)->graph.initializers.at(0).read().error().code, 1013);
  EXPECT_EQ(read({{"location", "sub/../outside.bin"}}), "TW1013") << "even where it would lead back";
  EXPECT_EQ(read({{"location", folder / "outside.bin"}}), "TW1013") << "an absolute path";
  EXPECT_EQ(read({{"location", std::string("outside.bin\0x", 13)}}), "TW1013") << "a NUL inside";
  EXPECT_EQ(refusal({{"location", ""}}), 1013);
  EXPECT_EQ(refusal({{"offset", "0"}}), 1013);
}

TEST_F(ExternalData, LinksAreRefused) {
  folder.write("target.bin", "abcdef");
  std::filesystem::create_directory(folder / "real");
  folder.write("real/data.bin", "abcdef");
  std::filesystem::create_symlink("target.bin", folder / "link.bin");
  std::filesystem::create_directory_symlink("real", folder / "linked");
  EXPECT_EQ(read({{"location", "link.bin"}}), "TW1013");
  EXPECT_EQ(read({{"location", "linked/data.bin"}}), "TW1013");
}

/// CACHE/snapshots/one/sub/model.onnx beside weights that are a link to `target`: the code of reading them.
std::string readThroughLink(const std::filesystem::path &cache, const std::string &target,
                            const std::string &snapshots = "snapshots") {
  std::filesystem::path here = cache / snapshots / "one" / "sub";
  std::filesystem::create_directories(here);
  std::filesystem::remove(here / "weights.bin");
  std::filesystem::create_symlink(target, here / "weights.bin");
  EXPECT_TRUE(modelWith({tensorExternal("w", ElementType::UInt8, {2}, {{"location", "weights.bin"}})})
                  .save((here / "model.onnx").string()));
  auto owner = readModel((here / "model.onnx").string());
  EXPECT_TRUE(owner);
  auto dense = (*owner)->graph.initializers.at(0).read();
  return dense ? std::string(reinterpret_cast<const char *>(dense->data()), dense->size())
               : dense.error().codeText();
}

TEST_F(ExternalData, ACachesOwnBlobsMayBeLinkedTo) {
  std::filesystem::path cache = std::filesystem::canonical(folder / ".") / "cache";
  std::filesystem::create_directories(cache / "blobs" / "deep");
  std::filesystem::create_directories(cache / "snapshots" / "one" / "blobs");
  std::filesystem::create_directory(cache.parent_path() / "blobs");
  for (const char *name : {"cache/blobs/3d4c", "cache/blobs/deep/3d4c", "blobs/3d4c", "outside",
                           "cache/snapshots/one/blobs/3d4c"})
    folder.write(name, "ab");
  std::filesystem::create_symlink("../../outside", cache / "blobs" / "link");
  EXPECT_EQ(readThroughLink(cache, "../../../blobs/3d4c"), "ab");
  EXPECT_EQ(readThroughLink(cache, cache / "blobs" / "3d4c"), "ab") << "the same as an absolute path";
  for (const char *bad :
       {"../../../../blobs/3d4c", "../../../../outside", "../../../blobs/link", "../../../blobs/deep/3d4c",
        "../../../blobs/../../outside", "../../../blobs", "../../../blobs/", "../blobs/3d4c", "/etc/passwd"})
    EXPECT_EQ(readThroughLink(cache, bad), "TW1013") << bad;
  EXPECT_EQ(readThroughLink(cache, "../../../blobs/absent"), "TW1013");
  EXPECT_EQ(readThroughLink(cache, "../../../blobs/3d4c", "tree"), "TW1013") << "no cache";
}

TEST_F(ExternalData, OnlyRegularFilesAreUsed) {
  std::filesystem::create_directory(folder / "sub");
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(read({{"location", "absent.bin"}}), "TW1014");
  EXPECT_EQ(read({{"location", "absent/w.bin"}}), "TW1014");
  EXPECT_EQ(read({{"location", "sub"}}), "TW1014");
  EXPECT_EQ(read({{"location", "sub/"}}), "TW1014");
  EXPECT_EQ(read({{"location", "."}}), "TW1014");
  EXPECT_EQ(read({{"location", "fifo"}}), "TW1014") << "and does not wait for a writer";
}

TEST_F(ExternalData, NeedsAFolderWhenReadFromMemory) {
  folder.write("weights.bin", "abcdef");
  std::string bytes =
      modelWith({tensorExternal("w", ElementType::UInt8, {2}, {{"location", "weights.bin"}})}).bytes();
  auto without = readModel(asBytes(bytes));
  ASSERT_TRUE(without);
  EXPECT_EQ((*without)->graph.initializers.at(0).read().error().code, 1013);
  auto with = readModel(asBytes(bytes), {}, folder / "");
  ASSERT_TRUE(with);
  EXPECT_TRUE((*with)->graph.initializers.at(0).read());
}

TEST_F(ExternalData, MayBeReadFromManyThreads) {
  folder.write("weights.bin", "abcdef");
  auto owner = model({{"location", "weights.bin"}});
  std::vector<std::thread> threads;
  std::vector<const std::byte *> seen(8);
  for (auto &place : seen)
    threads.emplace_back([&] { place = (*owner->graph.initializers.at(0).view())->data(); });
  for (std::thread &thread : threads)
    thread.join();
  for (const std::byte *place : seen)
    EXPECT_EQ(place, seen.front());
}

} // namespace
} // namespace tilewright::onnx
