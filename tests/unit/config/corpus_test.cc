// SPDX-License-Identifier: Apache-2.0
//
// tests/config: each NAME.conf means what stands in NAME.expected, its messages and
// then the model as text. To write the expected files anew, and then review them:
//
//   UPDATE_EXPECTED=1 build/release/unit_tests --gtest_filter='Corpus.*'; git diff tests/config
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/files.h"
#include "core/configuration_text.h"
#include "support.h"

namespace dnsdirector::config {
namespace {

namespace fs = std::filesystem;

const fs::path corpus = fs::path(DNSDIRECTOR_SOURCE_DIR) / "tests" / "config";

/// Where the corpus is read from must not matter: paths in it are relative.
std::string without_folder(std::string text) {
    const std::string folder = corpus.string();
    for (auto at = text.find(folder); at != std::string::npos; at = text.find(folder, at)) {
        text.erase(at, folder.size());
        // A file's name needs no folder; the folder itself is shown as one.
        if (at < text.size() && text[at] == '/' && (at == 0 || text[at - 1] != '\''))
            text.erase(at, 1);
    }
    return text;
}

/// As machine `main` at SITE west; whether programs exist is not looked at.
Loaded load_file(const fs::path& path) {
    Files files = real_files("main");
    files.judge_program = nullptr;
    files.environment = [](const std::string& name) {
        return name == "SITE" ? std::optional<std::string>("west") : std::nullopt;
    };
    return load(path.string(), files);
}

std::string meaning_of(const Loaded& loaded) {
    std::string text;
    for (const Message& message : loaded.messages)
        text += message.to_string() + '\n';
    if (loaded.ok()) text += (text.empty() ? "" : "\n") + core::full_text(*loaded.configuration);
    return without_folder(text);
}

std::string content_of(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

std::vector<fs::path> files_with(const char* extension) {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(corpus))
        if (entry.path().extension() == extension) paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    return paths;
}

TEST(Corpus, EachFileMeansWhatIsExpected) {
    const bool update = std::getenv("UPDATE_EXPECTED") != nullptr;
    const auto files = files_with(".conf");
    EXPECT_GE(files.size(), 60U);
    for (const fs::path& file : files) {
        const fs::path expected = fs::path(file).replace_extension(".expected");
        const Loaded loaded = load_file(file);
        const std::string meaning = meaning_of(loaded);
        EXPECT_EQ(loaded.ok(), !file.filename().string().starts_with("broken_")) << file;
        if (update) std::ofstream(expected) << meaning;
        EXPECT_EQ(meaning, content_of(expected)) << file;
    }
}

TEST(Corpus, NothingIsExpectedOfAFileThatIsGone) {
    for (const fs::path& expected : files_with(".expected"))
        EXPECT_TRUE(fs::exists(fs::path(expected).replace_extension(".conf"))) << expected;
}

}  // namespace
}  // namespace dnsdirector::config
