// SPDX-License-Identifier: Apache-2.0
//
// "Fragmentation needed" and "packet too big" for a service whose packets go by
// turns: nobody knows which server sent the answer that was too big. The kernel
// program hands such messages over (bpf/icmp.h), and each server of the service
// gets a copy, at a limited rate. The one whose answer it was learns of it; the
// others learn a true thing about the way to that client.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "core/model.h"
#include "dataplane/xdp/fd.h"
#include "dataplane/xdp/hop.h"
#include "dataplane/xdp/program.h"

namespace dnsdirector::dataplane::xdp {

class TooBig {
public:
    /// The ways to all servers of a service, each once; none where it is no service.
    using WaysOf = std::function<std::vector<Hop>(const core::ServiceKey&)>;
    /// Copies a second, and at once after a rest. A message that is begun goes to
    /// all servers, also where that is more than is left.
    struct Rate {
        double per_second = 2000;
        double burst = 2000;
    };

    /// `ring` is the map's descriptor. Errors: no raw sockets (CAP_NET_RAW).
    static Result<std::unique_ptr<TooBig>> open(int ring, WaysOf ways_of, Rate rate);
    TooBig(const TooBig&) = delete;
    TooBig& operator=(const TooBig&) = delete;

    /// Readable while messages wait and the rate allows to copy them.
    [[nodiscard]] int descriptor() const { return epoll_.get(); }
    void on_readable(TimePoint now);
    /// When the rate allows to go on; nothing while it does.
    [[nodiscard]] std::optional<TimePoint> deadline() const { return paused_until_; }
    void on_deadline(TimePoint now);

private:
    struct FreeRing {
        void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
    };

    TooBig(WaysOf ways_of, Rate rate) : ways_of_(std::move(ways_of)), rate_(rate) {}
    static int on_message(void* self, void* data, std::size_t size);
    void copy(const abi::too_big& message);
    void earn(TimePoint now);
    void listen(bool on) const;

    WaysOf ways_of_;
    Rate rate_;
    Fd socket_;  ///< sends frames, receives none
    Fd epoll_;
    std::unique_ptr<ring_buffer, FreeRing> ring_;
    double left_ = 0;  ///< copies that may be made now; below 0: a debt
    TimePoint earned_at_;
    std::optional<TimePoint> paused_until_;
};

}  // namespace dnsdirector::dataplane::xdp
