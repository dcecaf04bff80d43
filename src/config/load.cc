// SPDX-License-Identifier: Apache-2.0
#include "config/build.h"
#include "config/config.h"
#include "config/files.h"
#include "config/keywords.h"
#include "config/places.h"
#include "config/reader.h"
#include "config/tree.h"

namespace dnsdirector::config {
namespace {

Loaded finish(const std::vector<Statement>& tree, const TreeReader& reader, const Files& files,
              Diagnostics& diagnostics, const Visit& visit) {
    Loaded loaded;
    if (reader.gave_up()) {
        loaded.messages = diagnostics.take();
        return loaded;
    }
    const Drafts drafts = read_drafts(tree, reader.names(), files, diagnostics);
    Places places;
    core::Configuration configuration = build(drafts, files, diagnostics, places);
    if (visit && diagnostics.errors() == 0) visit({configuration, places, tree, diagnostics});
    if (diagnostics.errors() == 0) loaded.configuration = std::move(configuration);
    loaded.messages = diagnostics.take();
    loaded.misc_checks = diagnostics.take_misc_checks();
    return loaded;
}

}  // namespace

Loaded load(const std::string& path, const Files& files, const Visit& visit) {
    Diagnostics diagnostics;
    const Grammar grammar = keyword_grammar();
    TreeReader reader(files, grammar, diagnostics);
    const std::vector<Statement> tree = reader.read_file(path);
    return finish(tree, reader, files, diagnostics, visit);
}

Loaded parse(std::string_view text, const std::string& name, const Files& files,
             const Visit& visit) {
    Diagnostics diagnostics;
    const Grammar grammar = keyword_grammar();
    TreeReader reader(files, grammar, diagnostics);
    const std::vector<Statement> tree = reader.read_text(text, name);
    return finish(tree, reader, files, diagnostics, visit);
}

Loaded load(const std::string& path, const Files& files) {
    return load(path, files, nullptr);
}

Loaded parse(std::string_view text, const std::string& name, const Files& files) {
    return parse(text, name, files, nullptr);
}

Loaded load(const std::string& path, const std::string& config_id) {
    return load(path, real_files(config_id));
}

Loaded parse(std::string_view text, const std::string& name) {
    return parse(text, name, real_files());
}

}  // namespace dnsdirector::config
