// SPDX-License-Identifier: Apache-2.0
#include "config/probe_words.h"

#include "config/dns_values.h"
#include "config/values.h"
#include "core/mnemonics.h"
#include "core/status_pattern.h"

namespace dnsdirector::config {
namespace {

constexpr std::uint16_t dns_port = 53;

enum Word : std::size_t { from, klass, type, name, to, time, tries, statuses, transport };

Result<void> read_question(std::span<const std::string> words, core::DnsCheck& check) {
    const auto class_number = core::class_number(words[klass]);
    const auto type_number = core::type_number(words[type]);
    if (!class_number) return fail("\"{}\" is no class: IN, CH, HS, CLASS4 …", words[klass]);
    if (!type_number) return fail("\"{}\" is no record type: A, SOA, TYPE65280 …", words[type]);
    auto absolute = parse_dns_name(words[name]);
    if (!absolute) return tl::unexpected(absolute.error());
    check.klass = *class_number;
    check.type = *type_number;
    check.name = *absolute;
    return {};
}

Result<void> read_path(std::span<const std::string> words, ProbeWords& read) {
    const auto server = Endpoint::parse(words[to], dns_port);
    if (!server || server->address.is_unspecified())
        return fail("\"{}\" is no server: ADDRESS, ADDRESS:PORT or [IPV6]:PORT", words[to]);
    read.server = *server;
    const auto source = IpAddress::parse(words[from]);
    if (!source) return fail("\"{}\" is no source address", words[from]);
    if (!source->is_unspecified()) {
        if (source->family() != server->address.family())
            return fail("the source {} and the server are not of one address family", words[from]);
        read.check.via.source = source;
    }
    return {};
}

Result<void> read_judgement(std::span<const std::string> words, ProbeWords& read) {
    const auto timeout = parse_duration(words[time], Milliseconds{1}, Seconds{3600});
    if (!timeout) return tl::unexpected(timeout.error());
    read.timeout = *timeout;
    const auto number = parse_number(words[tries], 1, 10);
    if (!number) return fail("\"{}\" is no number of tries: 1 to 10", words[tries]);
    read.tries = static_cast<std::uint32_t>(*number);
    auto failures = core::statuses_matching(words[statuses]);
    if (!failures) return tl::unexpected(failures.error());
    read.check.fail_on = std::move(*failures);
    return {};
}

}  // namespace

Result<ProbeWords> parse_probe_words(std::span<const std::string> words) {
    if (words.size() != transport && words.size() != transport + 1)
        return fail(
            "{} words instead of 8 or 9: FROM_IP CLASS QTYPE QNAME TO_IP TIME TRIES "
            "ERROR_STATUS_REGEX [udp|tcp]",
            words.size());
    ProbeWords read;
    if (auto done = read_question(words, read.check); !done) return tl::unexpected(done.error());
    if (auto done = read_path(words, read); !done) return tl::unexpected(done.error());
    if (auto done = read_judgement(words, read); !done) return tl::unexpected(done.error());
    const std::string_view over =
        words.size() > transport ? std::string_view{words[transport]} : "udp";
    if (over != "udp" && over != "tcp") return fail("\"{}\" is no transport: udp or tcp", over);
    read.check.transport = over == "tcp" ? Protocol::tcp : Protocol::udp;
    return read;
}

}  // namespace dnsdirector::config
