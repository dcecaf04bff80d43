// SPDX-License-Identifier: Apache-2.0
#include "config/build.h"
#include "config/config.h"
#include "config/files.h"
#include "config/keywords.h"
#include "config/reader.h"
#include "config/tree.h"

namespace dnsdirector::config {
namespace {

Loaded finish(const std::vector<Statement>& tree, const Files& files, Diagnostics& diagnostics) {
    const Drafts drafts = read_drafts(tree, diagnostics);
    core::Configuration configuration = build(drafts, files, diagnostics);
    Loaded loaded;
    if (diagnostics.errors() == 0) loaded.configuration = std::move(configuration);
    loaded.messages = diagnostics.take();
    return loaded;
}

}  // namespace

Loaded load(const std::string& path, const Files& files) {
    Diagnostics diagnostics;
    const Grammar grammar = keyword_grammar();
    TreeReader reader(files, grammar, diagnostics);
    const std::vector<Statement> tree = reader.read_file(path);
    return finish(tree, files, diagnostics);
}

Loaded parse(std::string_view text, const std::string& name, const Files& files) {
    Diagnostics diagnostics;
    const Grammar grammar = keyword_grammar();
    TreeReader reader(files, grammar, diagnostics);
    const std::vector<Statement> tree = reader.read_text(text, name);
    return finish(tree, files, diagnostics);
}

Loaded load(const std::string& path) {
    return load(path, real_files());
}

Loaded parse(std::string_view text, const std::string& name) {
    return parse(text, name, real_files());
}

}  // namespace dnsdirector::config
