#include "main/embedded.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

namespace sallyport::main {
namespace {

TEST(Embedded, FilesAreThoseOfTheFolderByteForByte) {
  ASSERT_FALSE(demo_files().empty());
  for (const EmbeddedFile& file : demo_files()) {
    std::ifstream source(
        std::string(SALLYPORT_SOURCE_DIR) + "/src/main/demo/" + std::string(file.name),
        std::ios::binary);
    ASSERT_TRUE(source) << file.name;
    const std::string bytes{std::istreambuf_iterator<char>(source), {}};
    EXPECT_TRUE(file.bytes == bytes) << file.name;
  }
}

TEST(Embedded, FilesHaveThePage) {
  EXPECT_TRUE(std::any_of(demo_files().begin(), demo_files().end(),
                          [](const EmbeddedFile& file) { return file.name == "index.html"; }));
}

}  // namespace
}  // namespace sallyport::main
