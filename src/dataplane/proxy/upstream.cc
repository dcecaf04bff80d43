// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/upstream.h"

#include <algorithm>
#include <cmath>

namespace dnsdirector::dataplane::proxy {
namespace {

// Below it, a pause of our own or of the server's scheduler would look like silence; above it
// no client's patience should be tried.
constexpr Nanoseconds least_patience = Milliseconds{50};
constexpr Nanoseconds most_patience = Seconds{1};
constexpr Nanoseconds first_patience = Milliseconds{200};
// So many failures in a row speak against a server. A refusal is an answer, and needs fewer.
constexpr std::uint32_t refusals_that_count = 3;
constexpr std::uint32_t failures_that_count = 8;
// Silence counts only if it lasted: one lost batch is none, nor is a server's short pause. What
// waits for it meanwhile goes to others, within the budget of second tries (queries.cc), which
// bears this time where one of two servers is silent.
constexpr Nanoseconds silence_that_counts = Milliseconds{250};
constexpr double peak_decay_ns = 1e9;
constexpr Nanoseconds peak_lasts = Seconds{3};  // then little is left of it

}  // namespace

void UpstreamPart::answered(Nanoseconds rtt, TimePoint now, bool good) {
    if (srtt_.count() == 0) {
        srtt_ = rtt;
        rttvar_ = rtt / 2;
    } else {
        const Nanoseconds off = rtt > srtt_ ? rtt - srtt_ : srtt_ - rtt;
        rttvar_ += (off - rttvar_) / 4;
        srtt_ += (rtt - srtt_) / 8;
    }
    const auto sample = static_cast<double>(rtt.count());
    if (sample >= peak_ || now - peak_at_ > peak_lasts) {
        peak_ = sample;
        peak_at_ = now;
    }
    last_answer_ = now;
    if (good || kind_ == Charge::silent || kind_ == Charge::refuses) failures_ = 0;
}

Nanoseconds UpstreamPart::patience() const {
    if (srtt_.count() == 0) return first_patience;
    return std::clamp(srtt_ + 4 * rttvar_, least_patience, most_patience);
}

double UpstreamPart::peak(TimePoint now) const {
    const double age = static_cast<double>((now - peak_at_).count());
    return std::max(static_cast<double>(srtt_.count()), peak_ * std::exp(-age / peak_decay_ns));
}

Charge UpstreamPart::failed(Charge how, bool beaten, TimePoint now) {
    if (how != kind_) failures_ = 0;
    kind_ = how;
    // Silence and SERVFAIL may be the question's fault: only what another server can do counts.
    if (how != Charge::refuses && !beaten) return Charge::none;
    ++failures_;
    const std::uint32_t enough = how == Charge::refuses ? refusals_that_count : failures_that_count;
    if (failures_ < enough) return Charge::none;
    if (how == Charge::silent && now - last_answer_ < std::max(silence_that_counts, patience()))
        return Charge::none;
    failures_ = 0;
    return how;
}

}  // namespace dnsdirector::dataplane::proxy
