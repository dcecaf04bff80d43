// SPDX-License-Identifier: Apache-2.0
#include "config/convert.h"

#include <cstdio>

#include "cli/cli.h"
#include "cli/message_text.h"

namespace dnsdirector::cli {

void add_convert(Program program) {
    auto* command =
        program.app.add_subcommand("convert", "Print the native form of a keepalived.conf");
    auto path = std::make_shared<std::string>(default_config);
    command->add_option("-f,--file", *path, "Configuration")->capture_default_str();
    auto config_id = std::make_shared<std::string>();
    add_config_id(*command, *config_id);
    command->footer(
        "Services with the same servers become one dns_cluster; dig lines become questions with\n"
        "dig's verdicts. What is printed is read again and compared before it counts as the same.\n"
        "Exit status: 0 the same desired state, 1 errors, or something has no native form; then\n"
        "a line `incomplete` makes check-config refuse what is printed.\n"
        "\n"
        "  dnsdirector convert -f keepalived.conf > dnsdirector.conf\n"
        "  dnsdirector check-config -f dnsdirector.conf");
    command->callback([program, path, config_id] {
        program.action = [path, config_id] {
            const config::Converted converted = config::convert(*path, *config_id);
            fmt::print("{}", converted.text);
            for (const config::Message& message : converted.loaded.messages)
                if (message.severity == config::Severity::error)
                    fmt::print(stderr, "{}", text_with_caret(message));
            return converted.complete ? ok : failed;
        };
    });
}

}  // namespace dnsdirector::cli
