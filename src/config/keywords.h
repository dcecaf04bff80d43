// SPDX-License-Identifier: Apache-2.0
//
// The one table of keywords: what each is called, where it stands, what it
// takes, what it does. The parser, the checks, the suggestions and the reference
// manual all read it; a keyword that is not here does not exist.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/time.h"
#include "config/address_range.h"
#include "config/diagnostics.h"
#include "config/dns_values.h"
#include "config/draft.h"
#include "config/tree.h"

namespace dnsdirector::config {

/// The blocks that keywords stand in. `none` opens nothing.
enum class Block : std::uint8_t {
    none,
    top,
    director,
    http,
    proxy,
    dns_cluster,
    realserver,
    process,  ///< of a realserver block
    check,
    http_request,  ///< of a check
    server,        ///< real_server of a dns_cluster
    bgp,
    bgp_neighbor,
    bgp_announce,
    global_defs,
    virtual_server_group,
    virtual_server,
    real_server,  ///< of a virtual_server
    misc_check,
    dns_check,
    tcp_check,
    udp_check,
    ping_check,
    file_check,
    http_get,
    url,         ///< of an HTTP_GET
    track_file,  ///< at top level
    skipped,     ///< read for its braces only
};

/// Whether keepalived's own rules hold for what stands in the block.
[[nodiscard]] constexpr bool is_compatible(Block block) {
    return block >= Block::global_defs && block <= Block::track_file;
}

/// What stands behind a keyword.
enum class Kind : std::uint8_t {
    nothing,
    anything,       ///< not looked at
    flag,           ///< on or off; alone: on
    number,         ///< minimum to maximum
    maybe_number,   ///< likewise, or nothing
    percent,        ///< 50% or 50
    duration,       ///< minimum to maximum, in nanoseconds
    address,        ///< one IPv4 or IPv6 address
    addresses,      ///< one or more
    address_port,   ///< an address and perhaps a port (0)
    service,        ///< ADDRESS and perhaps a port (0), `fwmark` NUMBER, or `group` NAME
    mark,           ///< a firewall mark, perhaps `inet` (0) or `inet6` (1)
    group_entry,    ///< ADDRESS, ADDRESS-N, ADDRESS-ADDRESS or NETWORK/LENGTH; perhaps a port
    endpoint,       ///< ADDRESS:PORT
    listen,         ///< one or more ADDRESS or ADDRESS:PORT (0 where none is written)
    networks,       ///< one or more ADDRESS or NETWORK/LENGTH
    lengths,        ///< of prefixes: of IPv4, 0 to 32, and of IPv6, 0 to 128
    name,           ///< of a cluster, server or check
    optional_name,  ///< a name, or nothing
    interface,      ///< a network interface
    interfaces,     ///< one or more, none twice
    one_of,         ///< one of `choices`
    some_of,        ///< one or more of `choices`, none twice
    user,           ///< USER [GROUP]
    script,         ///< a command line, in quotes
    command,        ///< a command line, in quotes, and perhaps USER [GROUP]
    method,         ///< one of `choices`, for TUN also its encapsulation
    path,           ///< of a file, absolute
    text,           ///< one word
    hex,            ///< bytes as hexadecimal digits, in one word or several
    maybe_hex,      ///< likewise, or nothing
    requirement,    ///< `all` (0), `any` (1) or a number
    edns,           ///< a buffer size and perhaps `do`
    http_statuses,  ///< one or more HTTP statuses or ranges of them
    file_weight,    ///< a number with its sign, and perhaps `reverse`
    question,       ///< NAME TYPE [CLASS], in quotes or not
    statuses,       ///< one or more RCODEs, or `none`
    expectation,    ///< `rcode RCODE`, or one of the other choices and RDATA
    dns_type,       ///< a record type
    dns_name,       ///< a domain name
    dns_class,      ///< IN, CH …
    daemon,         ///< `bird`, `existing bird` or `existing frr`, by core::RoutingDaemon
    bfd,            ///< an interval and perhaps a multiplier
    communities,    ///< one or more, standard, large or well known by name
};

enum class Status : std::uint8_t {
    effective,
    ignored,      ///< accepted; a warning says that it has no effect
    unsupported,  ///< an error: not in this version
    refused,      ///< an error: never; `instead` names what serves
};

/// A statement's arguments, read by the keyword's kind.
struct Arguments {
    Position position;     ///< of the keyword
    Position argument_at;  ///< of the first argument
    bool has_block = false;
    bool valid = false;  ///< false only where a block opens in spite of a bad head
    std::uint64_t number = 0;
    bool has_number = false;  ///< of Kind::maybe_number and a service's firewall mark
    std::int64_t signed_number = 0;
    Nanoseconds duration{0};
    bool flag = true;
    std::vector<Placed<IpAddress>> addresses;
    std::vector<Placed<Endpoint>> endpoints;
    std::vector<Placed<core::Prefix>> networks;
    std::array<std::uint8_t, 2> prefix_lengths{};
    std::uint16_t port = 0;
    std::string text;
    std::vector<std::string> texts;
    std::vector<std::size_t> choices;  ///< indices into Keyword::choices
    Question question;
    std::vector<std::uint16_t> statuses;
    core::ScriptCheck script;
    AddressRange range;
    std::vector<std::uint8_t> bytes;
    std::vector<std::pair<std::uint16_t, std::uint16_t>> ranges;
    core::Communities communities;
};

struct Keyword;

struct Call {
    Current& current;
    Diagnostics& diagnostics;
    const Keyword& keyword;
    const Arguments& arguments;
};

/// Puts a statement's arguments into the drafts. For a block it runs before the
/// body is read, also when the arguments are bad (arguments.valid is false).
using Handler = void (*)(const Call&);
/// Runs behind a block's body; `faulty`: it or its head held errors.
using Finish = void (*)(const Call&, bool faulty);

struct Keyword {
    Block in = Block::top;
    std::string_view name;
    Kind kind = Kind::nothing;
    std::string_view help;      ///< one line, a sentence without its full stop
    std::string_view standard;  ///< the default, as written; "" when there is none
    std::string_view choices;   ///< separated by blanks
    std::int64_t minimum = 0;
    std::int64_t maximum = 0;
    bool repeats = false;
    bool required = false;
    Status status = Status::effective;
    std::string_view instead;  ///< what serves, why it has no effect, or why nothing follows it
    Block opens = Block::none;
    bool block_optional = false;
    Handler handle = nullptr;
    Finish finish = nullptr;
    std::string_view alias_of;  ///< counts as this keyword for duplicates
    /// Stands for every word that is no other keyword; `name` is for the manual.
    bool any_word = false;
    /// The kinds of `check` that it belongs to, separated by blanks; "": every one.
    std::string_view goes_with;
};

/// What the manual says of a block; every block that has keywords has an entry.
struct BlockInfo {
    Block block;
    std::string_view title;    ///< as it is written
    std::string_view intro;    ///< a few sentences
    std::string_view example;  ///< a whole file when put into `wrap`
    std::string_view before;   ///< text that makes a file of the example …
    std::string_view after;    ///< … and what closes it
};

/// The parts of the table, a file for each.
[[nodiscard]] std::span<const Keyword> director_keywords();
[[nodiscard]] std::span<const Keyword> proxy_keywords();
[[nodiscard]] std::span<const Keyword> cluster_keywords();
[[nodiscard]] std::span<const Keyword> real_server_machine_keywords();
[[nodiscard]] std::span<const Keyword> check_keywords();
[[nodiscard]] std::span<const Keyword> bgp_keywords();
[[nodiscard]] std::span<const Keyword> virtual_server_keywords();
[[nodiscard]] std::span<const Keyword> real_server_keywords();
[[nodiscard]] std::span<const Keyword> compatible_check_keywords();
[[nodiscard]] std::span<const Keyword> foreign_keywords();

/// All of them, in the order of the manual.
[[nodiscard]] std::span<const Keyword* const> all_keywords();
[[nodiscard]] std::span<const BlockInfo> all_blocks();

/// nullptr when `name` is no keyword of `block`.
[[nodiscard]] const Keyword* find_keyword(Block block, std::string_view name);
[[nodiscard]] std::span<const Keyword* const> keywords_of(Block block);

[[nodiscard]] std::vector<std::string_view> choices_of(const Keyword& keyword);

/// What a person calls the block: "a `check` block", "the top level".
[[nodiscard]] std::string block_name(Block block);

/// Of Kind::command.
[[nodiscard]] Placed<core::Command> command_of(const Call& call);

/// Of Kind::networks: adds them to the list; one that is there already is an error.
void add_networks(const Call& call, std::vector<core::Prefix>& list);

/// Warns of a word that only a shell would understand in a command line.
void warn_of_shell(const Call& call);

/// Of Kind::method within a virtual_server: TUN in another encapsulation than IPIP.
void note_encapsulation(const Call& call);

/// Warns of a group behind a user (Kind::user), which has no effect.
void warn_of_group(const Call& call);

/// For the tree reader.
[[nodiscard]] Grammar keyword_grammar();

}  // namespace dnsdirector::config
