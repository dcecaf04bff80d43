// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "probe/retrying_probe.h"
#include "probe/socket.h"

namespace dnsdirector::probe {

/// HTTP_GET: asks for every URL in its order, each over a connection of its own
/// with a time limit of its own, and looks at the status alone; the body is not
/// read. The first URL that fails ends the round; a time-out is followed by the
/// next try, which goes on with the URL that was not answered.
class HttpProbe : public RetryingProbe {
public:
    /// Errors: no URL; make_path's.
    static Result<std::unique_ptr<Probe>> make(Environment& environment, std::uint64_t token,
                                               const Endpoint& target, const core::HttpCheck& check,
                                               const core::CheckTiming& timing);

private:
    HttpProbe(Environment& environment, std::uint64_t token, const Endpoint& target, Path path,
              core::HttpCheck check, const core::CheckTiming& timing);

    Progress begin_try(TimePoint now) override;
    Progress look() override;
    void end() override;
    [[nodiscard]] Outcome unanswered() const override;

    Progress connect();
    /// Nothing: sent, or not all of it yet.
    Progress send_rest();
    Progress judge(unsigned status);
    [[nodiscard]] const core::HttpCheck::Url& url() const { return check_.urls[at_]; }
    /// A failure; where there are several URLs its reason says which.
    Progress fail_with(Outcome outcome);
    [[nodiscard]] std::string in_words(std::string reason) const;

    Endpoint target_;
    Path path_;
    core::HttpCheck check_;
    Socket socket_;
    std::size_t at_ = 0;  ///< the URL asked now
    std::string request_;
    std::string_view unsent_;
    std::string received_;
};

/// Looks for the final status in what has been received from the start of the
/// connection: RFC 9112, 4, with interim replies (1xx) skipped.
struct HttpStatus {
    enum class State : std::uint8_t { incomplete, found, malformed } state = State::incomplete;
    unsigned status = 0;
};
[[nodiscard]] HttpStatus find_http_status(std::string_view received);

/// "GET /path HTTP/1.1" and what belongs to it.
[[nodiscard]] std::string http_request(const core::HttpCheck::Url& url, const Endpoint& target);

}  // namespace dnsdirector::probe
