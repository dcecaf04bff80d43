// SPDX-License-Identifier: Apache-2.0
//
// Checks as values: what to ask a server, from where, and when it counts as
// passed. Equal checks are one check, however many services list it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/time.h"

namespace dnsdirector::core {

/// How a check's packets leave. Scripts and files have none of it.
struct Via {
    std::optional<IpAddress> source;  ///< of the target's family; absent: the kernel chooses
    std::uint16_t source_port = 0;    ///< 0: any
    std::string interface;            ///< SO_BINDTODEVICE, socket(7); "": any
    std::uint32_t mark = 0;           ///< SO_MARK, socket(7); 0: none
    /// Asked in place of the check's target, as a client would: the packet has this destination
    /// and the target's MAC (or is tunnelled to it). Its port is the service's.
    std::optional<IpAddress> service_ip = {};
    bool tunnel = false;  ///< with `service_ip`: as lb_kind TUN sends it, else as DR does

    friend auto operator<=>(const Via&, const Via&) = default;
    friend bool operator==(const Via&, const Via&) = default;
};

// ---- DNS --------------------------------------------------------------------

/// What to do with a reply whose TC bit is set, over UDP.
enum class OnTruncated : std::uint8_t { ask_over_tcp, pass, fail };

/// How the answers must relate to the expected ones.
enum class AnswerMatch : std::uint8_t {
    any,      ///< one of the expected is among the answers
    all,      ///< all expected are among the answers, others may be, too
    exactly,  ///< the same set
    pattern,  ///< one answer's presentation form is matched by `expect_answers[0]` (RE2,
              ///< unanchored)
};

/// Bits of the header (RFC 1035, 4.1.1; RFC 4035, 3.2.3) that a reply must carry.
namespace header_flag {
inline constexpr std::uint16_t aa = 0x0400;
inline constexpr std::uint16_t ra = 0x0080;
inline constexpr std::uint16_t ad = 0x0020;
}  // namespace header_flag

struct Edns {
    std::uint16_t buffer_size = 1232;  ///< bytes, 512 to 65535 (RFC 6891)
    bool dnssec_ok = false;            ///< DO (RFC 3225)

    friend auto operator<=>(const Edns&, const Edns&) = default;
    friend bool operator==(const Edns&, const Edns&) = default;
};

/// One DNS question to one server over one transport.
struct DnsCheck {
    std::string name = ".";   ///< presentation form, absolute, lower case kept as written
    std::uint16_t type = 6;   ///< RR TYPE number (RFC 1035); 6 is SOA
    std::uint16_t klass = 1;  ///< CLASS number; 1 is IN
    Protocol transport = Protocol::udp;
    bool tls = false;  ///< over TLS (RFC 7858, the certificate is not judged); transport is tcp
    Via via;
    bool recursion_desired = true;
    std::optional<Edns> edns;
    /// A new random label in front of `name` each time, so that no cache knows the answer.
    bool random_label = false;
    OnTruncated on_truncated = OnTruncated::ask_over_tcp;
    std::vector<std::uint16_t> fail_on;  ///< RCODEs that are failures, sorted
    std::optional<std::uint16_t> expect_rcode;
    AnswerMatch match = AnswerMatch::any;
    /// Record data in presentation form, or one regular expression. Empty: any
    /// answer will do.
    std::vector<std::string> expect_answers;
    std::uint16_t required_flags = 0;  ///< of header_flag
    std::uint16_t min_answers = 0;     ///< records of the asked type in the answer section
    Nanoseconds max_time{0};  ///< a reply that took longer fails; 0: no limit but the timeout

    friend auto operator<=>(const DnsCheck&, const DnsCheck&) = default;
    friend bool operator==(const DnsCheck&, const DnsCheck&) = default;
};

/// A MISC_CHECK whose command is a plain dig line, run natively: passes when
/// dig (BIND 9.18) would end with exit status 0. `CheckTiming::timeout` is
/// `+time`, `tries` is `+tries`, `limit` the misc_timeout.
struct DigCheck {
    std::string name = ".";
    std::uint16_t type = 1;
    std::uint16_t klass = 1;
    bool tcp = false;               ///< +tcp
    Via via;                        ///< -b
    bool recursion_desired = true;  ///< +norecurse
    std::optional<Edns> edns;       ///< +bufsize, +dnssec; dig sends EDNS with a cookie unless told
    bool ignore_truncation = false;  ///< +ignore
    /// For a connection, and again for its reply, where it is not CheckTiming::timeout;
    /// dig waits 5 s over UDP and 10 s over TCP unless told. 0: as over UDP.
    Nanoseconds tcp_timeout{0};
    std::string command;  ///< the line as it stands in the file, for people

    friend auto operator<=>(const DigCheck&, const DigCheck&) = default;
    friend bool operator==(const DigCheck&, const DigCheck&) = default;
};

// ---- the others -------------------------------------------------------------

/// MISC_CHECK: a command whose exit status is the verdict (0 passes).
struct ScriptCheck {
    std::vector<std::string> arguments;  ///< argv; arguments[0] is an absolute path
    std::string stdout_to;               ///< file that a `>` redirection named; "" is /dev/null
    std::string stderr_to;               ///< likewise; "&1" follows stdout
    std::string user;                    ///< "" is the director's `script_user`
    /// misc_dynamic: 2 to 255 pass, too, and set the server's weight to the status less 2.
    bool dynamic = false;

    friend auto operator<=>(const ScriptCheck&, const ScriptCheck&) = default;
    friend bool operator==(const ScriptCheck&, const ScriptCheck&) = default;
};

/// TCP_CHECK: passes when the connection is established.
struct TcpCheck {
    Via via;

    friend auto operator<=>(const TcpCheck&, const TcpCheck&) = default;
    friend bool operator==(const TcpCheck&, const TcpCheck&) = default;
};

/// UDP_CHECK: a refusal fails; silence passes unless a reply is required.
struct UdpCheck {
    Via via;
    std::vector<std::uint8_t> payload;  ///< empty: an empty datagram
    bool require_reply = false;
    std::uint16_t min_reply_length = 0;      ///< bytes
    std::uint16_t max_reply_length = 65535;  ///< bytes

    friend auto operator<=>(const UdpCheck&, const UdpCheck&) = default;
    friend bool operator==(const UdpCheck&, const UdpCheck&) = default;
};

/// PING_CHECK: ICMP (ICMPv6) echo.
struct PingCheck {
    Via via;

    friend auto operator<=>(const PingCheck&, const PingCheck&) = default;
    friend bool operator==(const PingCheck&, const PingCheck&) = default;
};

/// FILE_CHECK: a number in a file. keepalived.conf(5): with weight 0, any
/// number but 0 takes the server down (reverse: 0 does); else the number times
/// `weight` (times -weight when reverse) is added to the server's weight, and
/// a sum of -254 or less takes it down.
struct FileCheck {
    std::string path;
    std::int32_t weight = 1;  ///< -254 to 254
    bool reverse = false;

    friend auto operator<=>(const FileCheck&, const FileCheck&) = default;
    friend bool operator==(const FileCheck&, const FileCheck&) = default;
};

/// HTTP_GET: every URL must answer with a status that passes.
struct HttpCheck {
    struct Url {
        std::string path;          ///< with its query, begins with '/'
        std::string virtual_host;  ///< Host header; "": the target
        /// Sorted ranges of statuses that pass; empty: 200 to 299.
        std::vector<std::pair<std::uint16_t, std::uint16_t>> statuses;

        friend auto operator<=>(const Url&, const Url&) = default;
        friend bool operator==(const Url&, const Url&) = default;
    };
    Via via;
    std::vector<Url> urls;  ///< in the order of asking

    friend auto operator<=>(const HttpCheck&, const HttpCheck&) = default;
    friend bool operator==(const HttpCheck&, const HttpCheck&) = default;
};

// ---- common -----------------------------------------------------------------

struct CheckTiming {
    Nanoseconds every = Seconds{1};           ///< start to start; 50 ms to 1 day
    Nanoseconds timeout = Milliseconds{500};  ///< for one try
    std::uint32_t tries = 2;                  ///< per round, 1 to 10; of a dig line to 100
    std::uint32_t rise = 2;                   ///< passed rounds in a row until up
    std::uint32_t fall = 2;                   ///< failed rounds in a row until down
    /// Zero: the first rounds run at once and back to back (native form). Else
    /// the first one starts 1 s plus a random part of it after the start
    /// (keepalived's `warmup`).
    Nanoseconds warmup{0};
    /// For a whole round with all its tries; 0: none. A round that reaches it
    /// has failed (a native dig line within its misc_timeout).
    Nanoseconds limit{0};
    /// After a failed round that did not yet take the server down, the next one
    /// starts this long after its end (keepalived's `delay_before_retry`); 0:
    /// at its usual time.
    Nanoseconds retry_after{0};

    friend auto operator<=>(const CheckTiming&, const CheckTiming&) = default;
    friend bool operator==(const CheckTiming&, const CheckTiming&) = default;
};

/// How a check counts that has no verdict yet, of a server that the kernel does
/// not forward to (interface.md, "Start").
enum class Untested : std::uint8_t {
    out,  ///< native form, and compatible form with `alpha`: in after `rise` passes
    in,   ///< compatible form without `alpha`: in at once, the first failure removes it
};

/// A check is a value: equal checks are one check, however many services list it.
struct Check {
    using What = std::variant<DnsCheck, DigCheck, ScriptCheck, TcpCheck, UdpCheck, PingCheck,
                              FileCheck, HttpCheck>;
    Endpoint target;  ///< the server asked; a script or a file knows its target itself, here it is
                      ///< what it stands for
    What what;
    CheckTiming timing;
    Untested untested = Untested::out;

    friend auto operator<=>(const Check&, const Check&) = default;
    friend bool operator==(const Check&, const Check&) = default;
};

/// "dns", "dig", "misc", "tcp", "udp", "ping", "file", "http": `kind` of status --json.
[[nodiscard]] std::string_view kind_of(const Check::What& what);
/// What is asked, in a few words: "www.example.com. A udp", a script's path.
[[nodiscard]] std::string summary_of(const Check::What& what);
/// Everything that a check is, target and timing included: two checks differ
/// exactly when their texts do.
[[nodiscard]] std::string full_text(const Check& check);

/// Index into Configuration::checks.
using CheckIndex = std::uint32_t;

}  // namespace dnsdirector::core
