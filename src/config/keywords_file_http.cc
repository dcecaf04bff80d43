// SPDX-License-Identifier: Apache-2.0
//
// The compatible form: what stands in FILE_CHECK and HTTP_GET, and `track_file`,
// which the first looks at (keepalived.conf(5)).
#include "config/keywords_compatible_check.h"
#include "config/keywords_timing.h"

namespace dnsdirector::config {
namespace {

CompatibleCheckDraft& check(const Call& call) {
    return call.current.compatible_check();
}

template <typename What>
What& what(const Call& call) {
    return std::get<What>(check(call).what);
}

TrackFileDraft& track_file(const Call& call) {
    return call.current.drafts.track_files.back();
}

void set_file_weight(const Call& call) {
    auto& file = what<core::FileCheck>(call);
    file.weight = static_cast<std::int32_t>(call.arguments.signed_number);
    file.reverse = call.arguments.flag;
    check(call).own_weight = true;
}

void open_url(const Call& call) {
    what<core::HttpCheck>(call).urls.emplace_back();
}

core::HttpCheck::Url& url(const Call& call) {
    return what<core::HttpCheck>(call).urls.back();
}

void set_http_protocol(const Call& call) {
    if (call.arguments.choices.front() != 0)
        call.diagnostics.warning(call.arguments.argument_at,
                                 "http_protocol has no effect here: the status is asked for in the "
                                 "same way whatever stands there");
}

void open_track_file(const Call& call) {
    TrackFileDraft& draft = call.current.drafts.track_files.emplace_back();
    draft.position = call.arguments.position;
    draft.name = call.arguments.text;
}

constexpr std::string_view status_only =
    "the status of the URL is what counts here (status_code); a MISC_CHECK with curl compares "
    "contents";
const Keyword keywords[] = {
    {.in = Block::file_check,
     .name = "track_file",
     .kind = Kind::name,
     .help = "The track_file at top level that names the file",
     .required = true,
     .handle =
         [](const Call& c) { check(c).track_file = {c.arguments.text, c.arguments.argument_at}; }},
    {.in = Block::file_check,
     .name = "weight",
     .kind = Kind::file_weight,
     .help = "The file's number times this is added to the server's weight; a sum of -254 or less "
             "takes it down. 0: any number but 0 takes it down. `reverse` turns the sign, with 0 "
             "the condition",
     .standard = "the track_file's",
     .minimum = -254,
     .maximum = 254,
     .handle = set_file_weight},

    {.in = Block::http_get,
     .name = "url",
     .help = "What is asked; all must pass",
     .repeats = true,
     .required = true,
     .opens = Block::url,
     .handle = open_url},
    {.in = Block::http_get,
     .name = "virtualhost",
     .kind = Kind::text,
     .help = "The Host header of URLs that name none",
     .standard = "the real_server's",
     .handle = [](const Call& c) { check(c).virtual_host = c.arguments.text; }},
    {.in = Block::http_get,
     .name = "http_protocol",
     .kind = Kind::one_of,
     .help = "Read, and without effect: the status is the same",
     .standard = "1.0",
     .choices = "1.0 1.0C 1.0K 1.1",
     .handle = set_http_protocol},
    {.in = Block::http_get,
     .name = "nb_get_retry",
     .kind = Kind::number,
     .help = "The old name of retry",
     .minimum = 0,
     .maximum = 4294967295,
     .handle =
         [](const Call& c) { timing_of(c).retry = static_cast<std::uint32_t>(c.arguments.number); },
     .alias_of = "retry"},
    keepalived_word(Block::http_get, "enable_sni", Status::ignored, "it belongs to TLS"),
    keepalived_word(Block::http_get, "sni_name", Status::ignored, "it belongs to TLS"),
    keepalived_word(Block::http_get, "fast_recovery", Status::ignored,
                    "each round asks all URLs, also while the server is down"),
    {.in = Block::url,
     .name = "path",
     .kind = Kind::path,
     .help = "The URL's path, with its query",
     .required = true,
     .handle = [](const Call& c) { url(c).path = c.arguments.text; }},
    {.in = Block::url,
     .name = "status_code",
     .kind = Kind::http_statuses,
     .help = "Statuses that pass",
     .standard = "200-299",
     .handle = [](const Call& c) { url(c).statuses = c.arguments.ranges; }},
    {.in = Block::url,
     .name = "virtualhost",
     .kind = Kind::text,
     .help = "The Host header",
     .standard = "that of HTTP_GET, else the server's address",
     .handle = [](const Call& c) { url(c).virtual_host = c.arguments.text; }},
    keepalived_word(Block::url, "digest", Status::refused, status_only),
    keepalived_word(Block::url, "regex", Status::refused, status_only),
    keepalived_word(Block::url, "regex_no_match", Status::refused, status_only),
    keepalived_word(Block::url, "regex_options", Status::refused, status_only),
    keepalived_word(Block::url, "regex_min_offset", Status::refused, status_only),
    keepalived_word(Block::url, "regex_max_offset", Status::refused, status_only),
    keepalived_word(Block::url, "regex_stack", Status::refused, status_only),
    keepalived_word(Block::url, "tls_compliant", Status::ignored, "it belongs to TLS"),

    {.in = Block::top,
     .name = "track_file",
     .kind = Kind::name,
     .help = "A file with a number, for FILE_CHECK",
     .repeats = true,
     .opens = Block::track_file,
     .handle = open_track_file,
     .finish = [](const Call& c, bool faulty) { track_file(c).faulty = faulty; }},
    {.in = Block::top,
     .name = "vrrp_track_file",
     .kind = Kind::name,
     .help = "The old name of track_file",
     .repeats = true,
     .opens = Block::track_file,
     .handle = open_track_file,
     .finish = [](const Call& c, bool faulty) { track_file(c).faulty = faulty; },
     .alias_of = "track_file"},
    {.in = Block::track_file,
     .name = "file",
     .kind = Kind::path,
     .help = "The file; one that is missing or holds no number counts as 0",
     .required = true,
     .handle = [](const Call& c) { track_file(c).path = c.arguments.text; }},
    {.in = Block::track_file,
     .name = "weight",
     .kind = Kind::file_weight,
     .help = "For FILE_CHECKs that have none of their own",
     .standard = "1",
     .minimum = -254,
     .maximum = 254,
     .handle =
         [](const Call& c) {
             track_file(c).weight = static_cast<std::int32_t>(c.arguments.signed_number);
             track_file(c).reverse = c.arguments.flag;
         }},
    keepalived_word(Block::track_file, "init_file", Status::ignored,
                    "the director writes no such file"),
};

}  // namespace

std::span<const Keyword> file_and_http_keywords() {
    return keywords;
}

}  // namespace dnsdirector::config
