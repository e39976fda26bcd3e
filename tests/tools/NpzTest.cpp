#include "Support.h"
#include "support/Npy.h"

#include <cstring>
#include <numeric>

using namespace tilewright::tools;
using namespace tilewright::tools::test;
using NpzTest = FolderTest;

static std::string data(const char *name) { return std::string(DATA_FOLDER "/") + name; }

TEST_F(NpzTest, ReadsCompressedArrays) {
  auto npz = NpzReader::open(data("compressed.npz"));
  ASSERT_TRUE(npz) << npz.problem().message;
  EXPECT_EQ(npz->names(), (std::vector<std::string>{"floats", "nested/name", "größe"}));
  auto floats = npz->read("floats");
  ASSERT_TRUE(floats) << floats.problem().message;
  std::vector<float> ascending(1000);
  std::iota(ascending.begin(), ascending.end(), 0.0f);
  EXPECT_EQ(valuesOf<float>(*floats), ascending);
  auto flags = npz->read("nested/name");
  ASSERT_TRUE(flags);
  EXPECT_EQ(flags->dtype, TW_BOOL);
  EXPECT_FALSE(npz->read("missing"));
}

TEST_F(NpzTest, ReadsWhatNumPyStores) {
  auto npz = NpzReader::open(data("stored.npz"));
  ASSERT_TRUE(npz) << npz.problem().message;
  auto scalar = npz->read("scalar");
  ASSERT_TRUE(scalar);
  EXPECT_EQ(valuesOf<double>(*scalar), std::vector<double>{2.5});
  auto empty = npz->read("empty");
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->shape, (std::vector<int64_t>{0, 3}));
  auto complex = npz->read("complex");
  ASSERT_TRUE(complex);
  EXPECT_EQ(valuesOf<float>(*complex), (std::vector<float>{1, 2}));
}

TEST_F(NpzTest, ReadsWhatItWrote) {
  std::vector<NamedTensor> tensors;
  tensors.push_back({"plain", tensorOf<float>(TW_F32, {2, 1}, {1, 2})});
  tensors.push_back({"a/b:c d", tensorOf<int64_t>(TW_I64, {}, {-7})});
  tensors.push_back({"größe", tensorOf<uint16_t>(TW_BF16, {1}, {0x3f80})});
  tensors.push_back({"words", Tensor{TW_STRING, {3}, {}, {"eins", "日本🙂", ""}}});
  tensors.push_back({"none", tensorOf<double>(TW_F64, {0, 4}, {})});
  tensors.push_back({"no words", Tensor{TW_STRING, {0}, {}, {}}});
  ASSERT_FALSE(writeNpz(path("out.npz"), tensors));
  EXPECT_EQ(entries(), std::vector<std::string>{"out.npz"});
  auto npz = NpzReader::open(path("out.npz"));
  ASSERT_TRUE(npz) << npz.problem().message;
  EXPECT_EQ(npz->names(),
            (std::vector<std::string>{"plain", "a/b:c d", "größe", "words", "none", "no words"}));
  EXPECT_EQ(valuesOf<float>(*npz->read("plain")), (std::vector<float>{1, 2}));
  EXPECT_EQ(valuesOf<int64_t>(*npz->read("a/b:c d")), std::vector<int64_t>{-7});
  EXPECT_EQ(npz->read("größe")->dtype, TW_U16);
  EXPECT_EQ(npz->read("words")->strings, tensors[3].tensor.strings);
  auto noWords = npz->read("no words");
  ASSERT_TRUE(noWords) << noWords.problem().message;
  EXPECT_EQ(noWords->shape, std::vector<int64_t>{0});
  EXPECT_EQ(npz->read("none")->shape, (std::vector<int64_t>{0, 4}));
}

TEST_F(NpzTest, EqualResultsMakeEqualFiles) {
  std::vector<NamedTensor> tensors{{"x", tensorOf<float>(TW_F32, {1}, {1})}};
  ASSERT_FALSE(writeNpz(path("a"), tensors));
  ASSERT_FALSE(writeNpz(path("b"), tensors));
  EXPECT_EQ(read("a"), read("b"));
}

TEST_F(NpzTest, ReportsAFullDisk) {
  auto problem = writeNpz("/dev/full", {{"x", tensorOf<float>(TW_F32, {1}, {1})}});
  ASSERT_TRUE(problem);
  EXPECT_EQ(problem->exit, ExitCode::Io);
}

TEST_F(NpzTest, RefusesWhatIsNoArchive) {
  for (const char *content : {"", "PK", "no archive at all, but long enough to hold an end record"}) {
    auto npz = NpzReader::open(write("bad.npz", content));
    ASSERT_FALSE(npz);
    EXPECT_EQ(npz.problem().code, "TW5201");
    EXPECT_EQ(npz.problem().exit, ExitCode::Invalid);
  }
}

/// Opens and reads everything, in memory; false where damage was noticed.
static bool readsWhole(const std::string &content) {
  auto zip = ZipReader::open(bytesOf(content), "damaged.npz");
  if (!zip)
    return false;
  for (const ZipReader::Entry &entry : zip->entries()) {
    auto file = zip->read(entry);
    if (!file || !readNpy(*file, entry.name))
      return false;
  }
  return !zip->entries().empty();
}

TEST_F(NpzTest, NoticesTruncation) {
  for (const char *name : {"compressed.npz", "stored.npz"}) {
    auto whole = readFile(data(name));
    ASSERT_TRUE(whole);
    std::string content(reinterpret_cast<const char *>(whole->view.data()), whole->size());
    for (size_t size = 0; size < content.size(); ++size)
      EXPECT_FALSE(readsWhole(content.substr(0, size))) << name << " cut to " << size;
  }
}

TEST_F(NpzTest, SurvivesEveryFlippedByte) {
  auto whole = readFile(data("compressed.npz"));
  ASSERT_TRUE(whole);
  std::string content(reinterpret_cast<const char *>(whole->view.data()), whole->size());
  size_t noticed = 0;
  for (size_t i = 0; i < content.size(); ++i) {
    std::string damaged = content;
    damaged[i] = static_cast<char>(~damaged[i]);
    noticed += !readsWhole(damaged);
  }
  EXPECT_GT(noticed, content.size() / 2) << "the checksum covers the arrays, if not every header field";
}

TEST_F(NpzTest, RefusesImpossibleSizes) {
  auto whole = readFile(data("compressed.npz"));
  ASSERT_TRUE(whole);
  std::string content(reinterpret_cast<const char *>(whole->view.data()), whole->size());
  size_t entry = content.find("PK\x01\x02");
  ASSERT_NE(entry, std::string::npos);
  uint32_t huge = 0xfffffff0;
  std::memcpy(content.data() + entry + 24, &huge, 4);
  auto npz = NpzReader::open(write("bomb.npz", content));
  ASSERT_TRUE(npz);
  auto tensor = npz->read("floats");
  ASSERT_FALSE(tensor);
  EXPECT_NE(tensor.problem().message.find("its header asks for"), std::string::npos)
      << tensor.problem().message;
}

/// One stored entry "a.npy" whose sizes and offset are only in the zip64 field, and a zip64 end of directory.
static std::string zip64(const std::string &content, uint32_t crc) {
  std::string zip;
  auto put = [&](uint64_t value, size_t bytes) { zip.append(reinterpret_cast<const char *>(&value), bytes); };
  auto fields = [&](uint64_t version) {
    put(version, 2), put(0, 2), put(0, 2), put(0, 4), put(crc, 4), put(0xffffffff, 4), put(0xffffffff, 4),
        put(5, 2);
  };
  put(0x04034b50, 4), fields(45), put(20, 2), zip += "a.npy", put(1, 2), put(16, 2), put(content.size(), 8),
      put(content.size(), 8);
  zip += content;
  uint64_t directory = zip.size();
  put(0x02014b50, 4), put(45, 2), fields(45), put(28 + 8, 2), put(0, 2), put(0, 2), put(0, 2), put(0, 4),
      put(0xffffffff, 4);
  zip += "a.npy";
  put(0x7875, 2), put(4, 2), put(0, 4); // a field of another kind comes first
  put(1, 2), put(24, 2), put(content.size(), 8), put(content.size(), 8), put(0, 8);
  uint64_t end = zip.size();
  put(0x06064b50, 4), put(44, 8), put(45, 2), put(45, 2), put(0, 4), put(0, 4), put(1, 8), put(1, 8),
      put(end - directory, 8), put(directory, 8);
  put(0x07064b50, 4), put(0, 4), put(end, 8), put(1, 4);
  put(0x06054b50, 4), put(0, 4), put(0xffff, 2), put(0xffff, 2), put(0xffffffff, 4), put(0xffffffff, 4),
      put(0, 2);
  return zip;
}

TEST_F(NpzTest, ReadsZip64) {
  std::string content = npyHeader(TW_U8, {3}) + "abc";
  // The checksum as our own writer computes it.
  ASSERT_FALSE(writeNpz(path("ref.npz"), {{"a", tensorOf<uint8_t>(TW_U8, {3}, {'a', 'b', 'c'})}}));
  uint32_t crc;
  std::memcpy(&crc, read("ref.npz").data() + 14, 4);
  auto npz = NpzReader::open(write("64.npz", zip64(content, crc)));
  ASSERT_TRUE(npz) << npz.problem().message;
  auto tensor = npz->read("a");
  ASSERT_TRUE(tensor) << tensor.problem().message;
  EXPECT_EQ(valuesOf<char>(*tensor), (std::vector<char>{'a', 'b', 'c'}));
  auto wrong = NpzReader::open(write("wrong.npz", zip64(content, crc + 1)));
  ASSERT_TRUE(wrong);
  EXPECT_FALSE(wrong->read("a"));
}
