// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fnmatch.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "config/config.h"

namespace dnsdirector::config {

/// Files of a test, in memory; patterns match without braces.
inline Files files_of(const std::map<std::string, std::string>& contents) {
    Files files;
    files.read = [contents](const std::string& path) -> Result<std::string> {
        const auto found = contents.find(path);
        if (found == contents.end()) return fail("cannot open {}: No such file or directory", path);
        return found->second;
    };
    files.expand = [contents](const std::string& pattern) {
        std::vector<std::string> paths;
        for (const auto& [path, text] : contents)
            if (fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME) == 0) paths.push_back(path);
        return paths;
    };
    files.identity = [](const std::string& path) { return path; };
    return files;
}

inline Loaded parse_text(const std::string& text) {
    return parse(text, "t.conf", files_of({}));
}

/// All messages of a text called t.conf, one a line.
inline std::string messages_of(const std::string& text) {
    std::string out;
    for (const Message& message : parse_text(text).messages)
        out += message.to_string() + '\n';
    return out;
}

/// The configuration of a text that must be free of errors.
inline core::Configuration configuration_of(const std::string& text) {
    const Loaded loaded = parse_text(text);
    EXPECT_TRUE(loaded.ok()) << text;
    for (const Message& message : loaded.messages)
        if (message.severity == Severity::error) ADD_FAILURE() << message.to_string();
    return loaded.configuration.value_or(core::Configuration{});
}

/// A cluster of two servers around `lines`.
inline std::string cluster(const std::string& lines, const std::string& check = "query \". SOA\"") {
    return "director { interface eth0 }\n"
           "dns_cluster c {\n"
           "service_ip 192.0.2.53\n"
           "real_server a { address 203.0.113.11 }\n"
           "real_server b { address 203.0.113.12 }\n"
           "check { " +
           check + " }\n" + lines + "\n}\n";
}

/// As cluster(), with the lines in its check.
inline std::string checked(const std::string& lines) {
    return cluster("", "query \"www.example.com A\"; " + lines);
}

/// A virtual server with one real server, `lines` in the outer block, `server_lines` in the inner.
inline std::string virtual_server(const std::string& lines, const std::string& server_lines) {
    return "director { interface eth0 }\n"
           "virtual_server 192.0.2.53 53 {\n"
           "lb_algo wrr\n"
           "lb_kind DR\n" +
           lines + "\nreal_server 203.0.113.11 53 {\n" + server_lines + "\n}\n}\n";
}

/// All messages of a text are exactly these.
inline void says(const std::string& text, const std::string& messages) {
    EXPECT_EQ(messages_of(text), messages) << text;
}

/// The messages of a line put into a cluster as line 7.
inline void cluster_says(const std::string& line, const std::string& messages) {
    says(cluster(line), messages);
}

/// The messages of a line put into the cluster's check, from column 36 of line 6 on.
inline void check_says(const std::string& line, const std::string& messages) {
    says(checked(line), messages);
}

}  // namespace dnsdirector::config
