// SPDX-License-Identifier: Apache-2.0
#include "config/build_compatible_check.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "config/build_question.h"
#include "config/native_misc.h"

namespace dnsdirector::config {
namespace {

using namespace std::chrono_literals;

// keepalived's defaults (keepalived.conf(5), virtual server; its check_api.c).
constexpr Nanoseconds default_delay_loop = 60s;
constexpr Nanoseconds default_connect_timeout = 5s;

/// Those that depend on the kind of check.
struct Retries {
    std::uint32_t retry;
    std::optional<Nanoseconds> delay;  ///< absent: the delay_loop
};

Retries default_retries(const core::Check::What& what) {
    if (std::holds_alternative<core::DnsCheck>(what)) return {3, std::nullopt};
    if (std::holds_alternative<core::ScriptCheck>(what)) return {0, 1s};
    if (std::holds_alternative<core::HttpCheck>(what)) return {1, 3s};
    return {1, 1s};
}

class CheckBuilder {
public:
    CheckBuilder(const CompatibleCheck& what, Assembly& assembly)
        : what_(what), draft_(what.check), assembly_(assembly) {}

    void add(core::RealServer& real);

private:
    /// What the innermost block says that says anything.
    template <typename T>
    [[nodiscard]] std::optional<T> innermost(std::optional<T> CompatibleTiming::* field) const {
        for (const CompatibleTiming* timing :
             {&draft_.timing, &what_.server.timing, &what_.virtual_server.timing})
            if (timing->*field) return timing->*field;
        return std::nullopt;
    }
    [[nodiscard]] core::CheckTiming timing() const;
    [[nodiscard]] core::Untested untested() const {
        return innermost(&CompatibleTiming::alpha).value_or(false) ? core::Untested::out
                                                                   : core::Untested::in;
    }
    void add_questions(core::RealServer& real);
    bool find_target(Endpoint& target);
    bool find_source(const Endpoint& target, core::Via& via);
    /// A MISC_CHECK without a process, where that is possible and wanted.
    bool make_native(core::Check& check);
    bool complete(core::Check& check);
    bool complete(core::ScriptCheck& script);
    bool complete(core::FileCheck& file);
    void complete(core::HttpCheck& http) const;

    const CompatibleCheck& what_;
    const CompatibleCheckDraft& draft_;
    Assembly& assembly_;
};

core::CheckTiming CheckBuilder::timing() const {
    core::CheckTiming timing;
    timing.tries = 1;
    timing.rise = 1;
    if (std::holds_alternative<core::FileCheck>(draft_.what)) {
        // There the kernel tells of every change; here the file is read this often.
        timing.every = timing.timeout = 1s;
        timing.fall = 1;
        return timing;
    }
    const Retries standard = default_retries(draft_.what);
    timing.every = innermost(&CompatibleTiming::delay_loop).value_or(default_delay_loop);
    timing.timeout =
        std::holds_alternative<core::ScriptCheck>(draft_.what)
            ? draft_.misc_timeout.value_or(timing.every)
            : innermost(&CompatibleTiming::connect_timeout).value_or(default_connect_timeout);
    const std::uint32_t retry = innermost(&CompatibleTiming::retry).value_or(standard.retry);
    timing.fall = 1 + std::min(retry, UINT32_MAX - 1);
    if (retry > 0)
        timing.retry_after = innermost(&CompatibleTiming::delay_before_retry)
                                 .value_or(standard.delay.value_or(timing.every));
    timing.warmup = innermost(&CompatibleTiming::warmup).value_or(timing.every);
    return timing;
}

bool CheckBuilder::find_target(Endpoint& target) {
    if (draft_.connect_ip) {
        if (!assembly_.usable(draft_.connect_ip->value, draft_.connect_ip->position, "connect_ip"))
            return false;
        target.address = draft_.connect_ip->value;
    }
    target.port = draft_.connect_port.value_or(target.port);
    return true;
}

bool CheckBuilder::find_source(const Endpoint& target, core::Via& via) {
    via = draft_.via;
    if (!draft_.bind_to) return true;
    const IpAddress& source = draft_.bind_to->value;
    if (source.family() != target.address.family()) {
        assembly_.diagnostics().error(
            draft_.bind_to->position,
            "bindto: {} is {}, and the server asked, {}, is {}; both must be one family",
            source.to_string(), to_string(source.family()), target.address.to_string(),
            to_string(target.address.family()));
        return false;
    }
    via.source = source;
    return true;
}

bool CheckBuilder::make_native(core::Check& check) {
    const auto* script = std::get_if<core::ScriptCheck>(&check.what);
    if (script == nullptr) return false;
    Result<NativeMisc> native =
        assembly_.drafts().director.misc_native ? native_misc(*script) : fail("misc_native is off");
    assembly_.diagnostics().misc_check(draft_.position, native.has_value(),
                                       native ? std::string{} : native.error().message);
    if (!native) return false;
    check.target = native->target;
    check.what = std::move(native->what);
    check.timing.limit = check.timing.timeout;  // the script's is that of the whole round
    check.timing.timeout = native->timeout;
    check.timing.tries = native->tries;
    return true;
}

bool CheckBuilder::complete(core::ScriptCheck& script) {
    script.user = draft_.user;
    return assembly_.check_program(script.arguments.front(), *draft_.script_at, "misc_path");
}

bool CheckBuilder::complete(core::FileCheck& file) {
    const TrackFileDraft* track = assembly_.track_file(draft_.track_file);
    if (track == nullptr) return false;
    file.path = track->path;
    if (!draft_.own_weight) {
        file.weight = track->weight;
        file.reverse = track->reverse;
    }
    return true;
}

void CheckBuilder::complete(core::HttpCheck& http) const {
    for (core::HttpCheck::Url& url : http.urls)
        for (const std::string* host :
             {&draft_.virtual_host, &what_.server.virtual_host, &what_.virtual_server.virtual_host})
            if (url.virtual_host.empty()) url.virtual_host = *host;
}

/// A check for each query and transport; of the queries as many as `require` says.
void CheckBuilder::add_questions(core::RealServer& real) {
    Endpoint target = what_.target;
    core::Via via;
    if (!find_target(target) || !find_source(target, via)) return;
    const QuestionDraft& question = draft_.question;
    for (const Transport transport : {Transport::udp, Transport::tcp, Transport::tls}) {
        if (!question.transports[index(transport)]) continue;
        CheckGroup group;
        if (question.required) group.required = question.required->value;
        if (transport == Transport::tls) target.port = draft_.connect_port.value_or(tls_port);
        for (core::DnsCheck& check : questions_of(question, transport, via)) {
            // Beside the one status that passes by default these would be idle.
            if (!question.fail_on) check.fail_on.clear();
            group.checks.push_back(assembly_.add_check(
                {target, std::move(check), timing(), untested()}, draft_.position));
        }
        group.add_to(real);
    }
}

bool CheckBuilder::complete(core::Check& check) {
    return std::visit(
        [&](auto& what) {
            if constexpr (requires { what.via; }) {
                if (!find_target(check.target) || !find_source(check.target, what.via))
                    return false;
            }
            if constexpr (requires { what.urls; }) complete(what);
            if constexpr (requires { what.arguments; }) return complete(what);
            if constexpr (requires { what.reverse; }) return complete(what);
            return true;
        },
        check.what);
}

void CheckBuilder::add(core::RealServer& real) {
    if (draft_.faulty) return;
    if (std::holds_alternative<core::DnsCheck>(draft_.what)) {
        add_questions(real);
        return;
    }
    core::Check check{what_.target, draft_.what, timing(), untested()};
    if (std::holds_alternative<core::FileCheck>(check.what)) check.untested = core::Untested::in;
    if (!make_native(check) && !complete(check)) return;
    real.checks.push_back(assembly_.add_check(std::move(check), draft_.position));
}

}  // namespace

void add_compatible_check(const CompatibleCheck& what, Assembly& assembly, core::RealServer& real) {
    CheckBuilder(what, assembly).add(real);
}

}  // namespace dnsdirector::config
