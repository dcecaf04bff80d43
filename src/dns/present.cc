// SPDX-License-Identifier: Apache-2.0
#include "dns/present.h"

#include <fmt/format.h>
#include <ldns/ldns.h>

#include <algorithm>
#include <memory>

#include "core/mnemonics.h"
#include "dns/query.h"

namespace dnsdirector::dns {
namespace {

constexpr std::uint16_t type_opt = 41;
constexpr std::size_t most_records = 100;   ///< of a section
constexpr std::size_t longest_data = 1000;  ///< of one record, in bytes of text

struct Free {
    void operator()(ldns_rr* rr) const { ldns_rr_free(rr); }
    void operator()(ldns_rdf* rdf) const { ldns_rdf_deep_free(rdf); }
    void operator()(char* text) const { LDNS_FREE(text); }
};

std::string text_of(const ldns_rdf* field) {
    const std::unique_ptr<char, Free> text(ldns_rdf2str(field));
    return text ? text.get() : "";
}

std::string hex(Bytes bytes) {
    std::string text;
    for (const std::uint8_t byte : bytes)
        text += fmt::format("{:02x}", byte);
    return text;
}

std::string cut(std::string text, std::size_t longest) {
    if (text.size() > longest) text = text.substr(0, longest) + "…";
    return text;
}

/// RFC 3597, 5. Twice `longest` bytes make more text than is kept.
std::string generic_text(Bytes data, std::size_t longest) {
    return fmt::format("\\# {} {}", data.size(), hex(data.first(std::min(data.size(), longest))));
}

// ---- header -----------------------------------------------------------------

std::string opcode_name(unsigned opcode) {
    constexpr const char* names[] = {"QUERY", "IQUERY", "STATUS", "", "NOTIFY", "UPDATE"};
    const char* name = opcode < std::size(names) ? names[opcode] : "";
    return *name != '\0' ? name : fmt::format("RESERVED{}", opcode);
}

std::string header_text(Bytes reply, std::uint16_t rcode) {
    constexpr struct {
        std::uint16_t bit;
        const char* name;
    } flags[] = {{0x8000, "qr"}, {0x0400, "aa"}, {0x0200, "tc"}, {0x0100, "rd"},
                 {0x0080, "ra"}, {0x0020, "ad"}, {0x0010, "cd"}};
    const std::uint16_t bits = read16(reply, 2);
    std::string set;
    for (const auto& [bit, name] : flags)
        if ((bits & bit) != 0) set += fmt::format(" {}", name);
    return fmt::format(
        ";; ->>HEADER<<- opcode: {}, status: {}, id: {}\n"
        ";; flags:{}; QUERY: {}, ANSWER: {}, AUTHORITY: {}, ADDITIONAL: {}\n",
        opcode_name(bits >> 11 & 15U), core::rcode_name(rcode), read16(reply, 0), set,
        read16(reply, 4), read16(reply, 6), read16(reply, 8), read16(reply, 10));
}

// ---- EDNS -------------------------------------------------------------------

/// RFC 8914, 4, and IANA's registry.
constexpr const char* extended_errors[] = {"Other",
                                           "Unsupported DNSKEY Algorithm",
                                           "Unsupported DS Digest Type",
                                           "Stale Answer",
                                           "Forged Answer",
                                           "DNSSEC Indeterminate",
                                           "DNSSEC Bogus",
                                           "Signature Expired",
                                           "Signature Not Yet Valid",
                                           "DNSKEY Missing",
                                           "RRSIGs Missing",
                                           "No Zone Key Bit Set",
                                           "NSEC Missing",
                                           "Cached Error",
                                           "Not Ready",
                                           "Blocked",
                                           "Censored",
                                           "Filtered",
                                           "Prohibited",
                                           "Stale NXDOMAIN Answer",
                                           "Not Authoritative",
                                           "Not Supported",
                                           "No Reachable Authority",
                                           "Network Error",
                                           "Invalid Data"};

/// Text that a server chose: printable ASCII, everything else as \DDD.
std::string printable(Bytes bytes) {
    std::string text;
    for (const std::uint8_t byte : bytes.first(std::min(bytes.size(), longest_data)))
        text += byte >= 0x20 && byte < 0x7F ? std::string(1, static_cast<char>(byte))
                                            : fmt::format("\\{:03}", byte);
    return cut(std::move(text), longest_data);
}

std::string option_text(std::uint16_t code, Bytes data) {
    constexpr std::uint16_t nsid = 3, cookie = 10, extended_error = 15;
    if (code == extended_error && data.size() >= 2) {
        const std::uint16_t error = read16(data, 0);
        std::string text = fmt::format("; EDE: {}", error);
        if (error < std::size(extended_errors))
            text += fmt::format(" ({})", extended_errors[error]);
        if (data.size() > 2) text += fmt::format(": ({})", printable(data.subspan(2)));
        return text + "\n";
    }
    const std::string value =
        cut(hex(data.first(std::min(data.size(), longest_data))), longest_data);
    if (code == cookie) return fmt::format("; COOKIE: {}\n", value);
    if (code == nsid) return fmt::format("; NSID: {} (\"{}\")\n", value, printable(data));
    return fmt::format("; OPT={}: {}\n", code, value);
}

/// RFC 6891, 6.1: the class is the buffer size, the TTL holds version and flags.
std::string opt_text(Bytes reply, const Record& opt) {
    const unsigned flags = opt.ttl & 0xFFFFU;
    std::string text =
        fmt::format(";; OPT PSEUDOSECTION:\n; EDNS: version: {}, flags:{}; udp: {}\n",
                    opt.ttl >> 16 & 0xFFU, (flags & 0x8000U) != 0 ? " do" : "", opt.klass);
    const Bytes data = reply.subspan(opt.rdata, opt.rdlength);
    for (std::size_t at = 0; at < data.size();) {
        if (at + 4 > data.size() || at + 4 + read16(data, at + 2) > data.size())
            return text + "; the options are cut off\n";
        const std::size_t size = read16(data, at + 2);
        text += option_text(read16(data, at), data.subspan(at + 4, size));
        at += 4 + size;
    }
    return text;
}

// ---- sections ---------------------------------------------------------------

/// To the column by tabs (of eight) and spaces; at least one of them.
void pad_to(std::string& line, std::size_t column) {
    std::size_t at = 0;
    for (const char character : line)
        at = character == '\t' ? (at / 8 + 1) * 8 : at + 1;
    const std::size_t to = std::max(column, at + 1);
    const std::size_t tabs = to / 8 - at / 8;
    line.append(tabs, '\t');
    line.append(to - (tabs > 0 ? to / 8 * 8 : at), ' ');
}

std::string record_text(Bytes reply, const Record& record) {
    std::string line = name_text(reply, record.owner);
    pad_to(line, 24);
    line += std::to_string(record.ttl);
    pad_to(line, 32);
    line += core::class_name(record.klass);
    pad_to(line, 40);
    line += core::type_name(record.type);
    pad_to(line, 48);
    return line + rdata_text(reply, record, longest_data) + "\n";
}

struct Text {
    std::string opt, question, sections;
    std::string trouble;  ///< what ended the walk
    std::uint16_t rcode = 0;
};

std::size_t add_questions(Bytes reply, Text& text) {
    std::size_t at = header_size;
    const unsigned count = read16(reply, 4);
    for (unsigned index = 0; index < count; ++index) {
        const std::optional<std::size_t> end = skip_name(reply, at);
        if (!end || *end + 4 > reply.size()) {
            text.trouble = "the question is cut off or broken";
            return at;
        }
        if (index < most_records) {
            std::string line = ";" + name_text(reply, at);
            pad_to(line, 32);
            line += core::class_name(read16(reply, *end + 2));
            pad_to(line, 40);
            text.question += line + core::type_name(read16(reply, *end)) + "\n";
        }
        at = *end + 4;
    }
    if (count > 0) text.question = ";; QUESTION SECTION:\n" + text.question + "\n";
    return at;
}

std::size_t add_section(Bytes reply, std::size_t at, std::size_t section, Text& text) {
    constexpr const char* names[] = {"ANSWER", "AUTHORITY", "ADDITIONAL"};
    constexpr const char* in_words[] = {"answer", "authority", "additional"};
    const unsigned count = read16(reply, 6 + 2 * section);
    std::string records;
    unsigned index = 0;
    for (; index < count; ++index) {
        const std::optional<Record> record = read_record(reply, at);
        if (!record) {
            text.trouble =
                fmt::format("record {} of {} in the {} section is cut off or its name broken",
                            index + 1, count, in_words[section]);
            break;
        }
        if (section == 2 && record->type == type_opt) {
            text.opt += opt_text(reply, *record);
            text.rcode = static_cast<std::uint16_t>(text.rcode | record->ttl >> 24 << 4);
        } else if (index < most_records) {
            records += record_text(reply, *record);
        }
    }
    if (index > most_records) records += fmt::format("; … {} more\n", index - most_records);
    if (!records.empty())
        text.sections += fmt::format(";; {} SECTION:\n{}\n", names[section], records);
    return at;
}

}  // namespace

std::string name_text(Bytes message, std::size_t at) {
    if (!skip_name(message, at)) return {};
    ldns_rdf* raw = nullptr;
    const ldns_status status = ldns_wire2dname(&raw, message.data(), message.size(), &at);
    const std::unique_ptr<ldns_rdf, Free> name(raw);
    return status == LDNS_STATUS_OK && name ? text_of(name.get()) : "";
}

std::string rdata_text(Bytes message, const Record& record, std::size_t longest) {
    const Bytes data = message.subspan(record.rdata, record.rdlength);
    if (!rdata_is_sound(message, record)) return cut(generic_text(data, longest), longest);
    std::size_t position = record.owner;
    ldns_rr* raw = nullptr;
    const ldns_status status =
        ldns_wire2rr(&raw, message.data(), message.size(), &position, LDNS_SECTION_ANSWER);
    const std::unique_ptr<ldns_rr, Free> rr(raw);
    if (status != LDNS_STATUS_OK || !rr) return cut(generic_text(data, longest), longest);
    std::string text;
    for (std::size_t index = 0; index < ldns_rr_rd_count(rr.get()); ++index)
        text += (index == 0 ? "" : " ") + text_of(ldns_rr_rdf(rr.get(), index));
    return cut(std::move(text), longest);
}

std::string in_dig_form(Bytes reply) {
    if (reply.size() < header_size)
        return fmt::format(";; malformed: {} bytes, and a header has {}\n", reply.size(),
                           header_size);
    Text text;
    text.rcode = reply[3] & 0x0F;
    std::size_t at = add_questions(reply, text);
    for (std::size_t section = 0; section < 3 && text.trouble.empty(); ++section)
        at = add_section(reply, at, section, text);

    std::string all =
        header_text(reply, text.rcode) + "\n" + text.opt + text.question + text.sections;
    if (!text.trouble.empty())
        all += ";; malformed: " + text.trouble + "\n";
    else if (at < reply.size())
        all += fmt::format(";; {} bytes behind the last record\n", reply.size() - at);
    return all + fmt::format(";; MSG SIZE  rcvd: {}\n", reply.size());
}

}  // namespace dnsdirector::dns
