// SPDX-License-Identifier: Apache-2.0
//
// docs/configuration.md: the rules of the language in words, then every block
// and keyword from the table.
#include <fmt/ranges.h>

#include <vector>

#include "config/arguments.h"
#include "config/config.h"
#include "config/keywords.h"

namespace dnsdirector::config {
namespace {

constexpr std::string_view introduction = R"(# Configuration

<!-- Made from the keyword table in src/config; edit there, not here. -->

The director reads one file, by default `/etc/dnsdirector/dnsdirector.conf`, with
the files that it includes. Two forms of one language may be mixed freely: the
**native form**, where one block describes a cluster for UDP and TCP, IPv4 and IPv6,
and the **compatible form**, the virtual servers of an existing `keepalived.conf`.

`dnsdirector check-config -f FILE` reads a file and says all that is wrong with it, as
`FILE:LINE:COLUMN: error: what, and what would be right`. The director does the same
before every start and reload; what is refused changes nothing.

## Rules of the text

- One statement a line: a keyword and its arguments. `{` opens the keyword's block,
  also on a later line, `}` closes it; both end a statement, so that blocks may stand
  on one line. In native blocks `;` ends a statement too.
- `#` and `!` start a comment anywhere, also in the middle of a word; double quotes
  protect them, and a backslash before them.
- `"…"` makes one word of what it holds. There are no escapes in it, except in a
  script's command line.
- Keywords are case-sensitive; their arguments, such as `DR`, `udp` or `servfail`, are not.
- **Durations** are a number and a unit: `500ms`, `1s`, `1.5s`, `2m`, `1h`. Without a
  unit they are seconds.
- `include FILE` puts another file, or all that match a pattern (`*`, `?`, `[…]`,
  `{a,b}`), in its place, also within a block. The name is relative to the file that
  includes. A file that is missing is an error, a pattern without a match a warning;
  `includew` makes that an error too, `includeb` wants a match for each of `{a,b}`,
  `includea` both; `includer` and `includem` are as `include`. `include_check` in
  `global_defs` sets the same for what follows.
- What is given twice, unknown or out of range is an error.

### Text that stands for other text

As in keepalived, all over a file and in what it includes, in either form:

| written | means |
| --- | --- |
| `$NAME=VALUE` | a definition, on a line of its own; it may be changed later |
| `$NAME=` … `\` | one of several lines: each but the last ends with a backslash, an empty line ends it too |
| `$NAME`, `${NAME}` | the value, as it is *when used*; without braces a blank, `,`, `)`, `;` or a brace must follow |
| `${_PWD}`, `${_INSTANCE}` | the folder of this file; the `--config-id` |
| `${_HASH}`, `${_BANG}` | `#` and `!` that start no comment |
| `${_ENV VARIABLE}` | an environment variable |
| `@ID …` | the line counts only where `--config-id` (else the first part of the host name) is ID |
| `@^ID …` | … only where it is not |
| `~SEQ(VAR, START, STEP, END) …` | the rest of the line, once for each value of `${VAR}`; START and STEP may be left out; `~SEQx` writes hexadecimal |
| `~LST(VAR, A, B) …` | … for each value listed |
| `~LST({V, W}, {A, B}, {C, D}) …` | … for several variables at once |

    $SERVER= \
    real_server 203.0.113.${N} 53 { \
        weight 1 \
        TCP_CHECK { } \
    }
    virtual_server 192.0.2.53 53 {
        lb_algo wrr
        lb_kind DR
        ~SEQ(N, 11, 54) $SERVER
    }

What is not defined is an error, in a command line a warning, since it is handed on as
it stands. `${_RANDOM}` is refused: a file means the same each time it is read. Messages
point at the line of the file and say what it reads once all is put in. What definitions
and sequences may grow to is limited (a line to 16 KiB, all of them to about 250,000
words), nesting to 32, so that no text takes the memory of the machine.

Every command that takes `-f` takes `--config-id` (`-i`), too; `reload`, and `plan`
without it, use the running director's.

## Where to start

A file of one's own is best written in the native form:

    director {
        interface eth0
    }
    dns_cluster resolvers {
        service_ip 192.0.2.53 2001:db8::53
        check { query "www.example.com A" }
        real_server ns1 { address 203.0.113.11 2001:db8:1::11 }
        real_server ns2 { address 203.0.113.12 2001:db8:1::12 }
    }

An existing keepalived.conf with `lb_algo` wrr, rr, mh or sh and `lb_kind DR` runs as it
stands, unless it uses a keyword that is listed below as refused or not supported yet. What has no
effect here is said once, in a warning. A program that is named (`misc_path`, `notify_up` …) must
be there, executable, and nothing that everybody may write to: else the file is refused. Choices of the director go into a small file before it:

    director {
        interface eth0
    }
    include keepalived.conf

Without a `director` block, or without `interface` in it, the director attaches to
every interface that has a route to a real server, and says so in a warning.

## From the compatible form to the native one

| keepalived.conf | native form |
| --- | --- |
| a `virtual_server` for each address and protocol, a `virtual_server_group` | one `dns_cluster NAME { … }` with every `service_ip` and `protocol udp tcp` |
| `real_server A P { … }` | `real_server NAME { address A }`, and `port P` in the cluster |
| `lb_algo sh` with `sh-port`; `mh` without `mh-port` | `hash_port on`; `hash_port off` |
| DNS_CHECK | `check { query "NAME TYPE" }` with `transport udp`, `tries 1`, `expect rcode NOERROR`, `fail_on none` and `on_truncated pass` |
| MISC_CHECK with a dig line | `query "NAME TYPE"`, which SERVFAIL and REFUSED fail, too; `fail_on none` as there |
| dig's `+time`, `+tries`, `-b`, `+tcp` | `timeout`, `tries`, `source`, `transport tcp`; without `+tcp` `transport udp` |
| another MISC_CHECK | `script "…"`, in the cluster with `{address}` for the server's, or in its `real_server`; `misc_dynamic` is `dynamic`, `user` stays |
| TCP_CHECK, PING_CHECK | `connect`, `ping` |
| UDP_CHECK with `payload HEX` | `datagram HEX`; the other words stay |
| FILE_CHECK with `weight N` | `file PATH` with `file_weight N` |
| HTTP_GET with a `url` | `http PATH { status …; host … }`, a line for each URL |
| a check in the UDP or the TCP virtual_server only | `services udp`, `services tcp` |
| `delay_loop`, `connect_timeout` or `misc_timeout` | `every`, `timeout` |
| `retry N` (default MISC_CHECK 0, DNS_CHECK 3, others 1) | `fall N+1`, and `rise 1` |
| `delay_before_retry`, `warmup` | `retry_after`, `warmup` |
| without `alpha`; with it | `untested in`; `untested out` |
| `connect_ip`, `connect_port` | `target`, `port` |
| `bindto`, `bind_port`, `bind_if`, `fwmark` | `source`, `source_port`, `bind_if`, `fwmark` |
| `sorry_server A P` | `sorry_server A` |
| what keepalived does when all servers are down | `on_all_down empty` |

`quorum`, `hysteresis`, `quorum_up`, `notify_up` and the like, `omega`, `inhibit_on_failure` and
`sorry_server_inhibit` have the same name in both.

In the compatible form a server serves untested until its first verdict, which is `untested in`
natively; left out, the server is taken in after its first passes. `dnsdirector convert -f FILE`
writes all of this; [migration.md](migration.md) has the whole way.
)";

/// A table's cell: `|` would end it.
std::string cell(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '|') out.push_back('\\');
        out.push_back(c);
    }
    return out;
}

std::string usage(const Keyword& keyword) {
    std::string text(keyword.name);
    if (const std::string takes = argument_text(keyword); !takes.empty()) text += ' ' + takes;
    if (keyword.opens != Block::none) text += keyword.block_optional ? " [{ … }]" : " { … }";
    return text;
}

std::string meaning(const Keyword& keyword) {
    std::string text(keyword.help);
    if (const std::string range = range_text(keyword); !range.empty()) text += "; " + range;
    std::vector<std::string_view> notes;
    if (keyword.required) notes.emplace_back("needed");
    if (keyword.repeats) notes.emplace_back("may be repeated");
    if (!notes.empty()) text += fmt::format(" ({})", fmt::join(notes, ", "));
    return text;
}

std::string keyword_table(Block block) {
    std::string out = "| keyword | default | meaning |\n| --- | --- | --- |\n";
    for (const Keyword* keyword : keywords_of(block))
        if (keyword->status == Status::effective)
            out += fmt::format("| `{}` | {} | {} |\n", cell(usage(*keyword)),
                               cell(keyword->standard), cell(meaning(*keyword)));
    return out;
}

/// The keywords of a block that have no effect, by what becomes of them.
std::string other_keywords(Block block) {
    struct Group {
        Status status;
        std::string_view title;
    };
    static constexpr Group groups[] = {
        {Status::ignored, "Accepted with a warning, without effect"},
        {Status::unsupported, "Known, not supported yet (an error)"},
        {Status::refused, "Refused (an error)"},
    };
    std::string out;
    for (const Group& group : groups) {
        std::vector<std::string> names;
        for (const Keyword* keyword : keywords_of(block)) {
            if (keyword->status != group.status) continue;
            names.push_back(keyword->instead.empty()
                                ? fmt::format("- `{}`", keyword->name)
                                : fmt::format("- `{}`: {}", keyword->name, keyword->instead));
        }
        if (!names.empty())
            out += fmt::format("\n{}:\n\n{}\n", group.title, fmt::join(names, "\n"));
    }
    return out;
}

/// As Markdown's code: four blanks in front, whatever stood there before.
std::string code(std::string_view text) {
    const std::size_t margin = text.find_first_not_of(' ');
    std::string out;
    while (!text.empty()) {
        const auto end = text.find('\n');
        out += "    " + std::string(text.substr(margin, end - margin)) + '\n';
        text.remove_prefix(end + 1);
    }
    return out;
}

}  // namespace

std::string reference_markdown() {
    std::string out(introduction);
    for (const BlockInfo& info : all_blocks()) {
        out += fmt::format("\n## {}{}{}\n\n{}\n\n{}\n{}", info.block == Block::top ? "" : "`",
                           info.block == Block::top ? "Top level" : info.title,
                           info.block == Block::top ? "" : "`", info.intro, code(info.example),
                           keyword_table(info.block));
        out += other_keywords(info.block);
    }
    return out;
}

}  // namespace dnsdirector::config
