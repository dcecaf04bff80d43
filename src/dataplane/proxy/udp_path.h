// SPDX-License-Identifier: Apache-2.0
//
// Queries and answers over UDP, in batches: one system call takes up to 64 messages, one sends
// them on. The servers are asked from a few sockets that all of them share, each on a port by
// chance; who answers is held against the address that was asked.
#pragma once

#include <sys/uio.h>

#include <memory>
#include <vector>

#include "dataplane/proxy/proxy_header.h"
#include "dataplane/proxy/queries.h"
#include "dataplane/proxy/transparent.h"

namespace dnsdirector::dataplane::proxy {

class UdpPath final : public Transport {
public:
    UdpPath(Context& context, Queries& queries);
    ~UdpPath() override;
    UdpPath(const UdpPath&) = delete;
    UdpPath& operator=(const UdpPath&) = delete;

    /// Opens the sockets that servers of this family are asked from, if there are none yet.
    /// Returns what was opened, by number.
    /// `transparent`: those that ask from clients' addresses.
    Result<std::vector<std::size_t>> open(Family family, bool transparent = false);
    [[nodiscard]] int socket(std::size_t back) const { return backs_[back].socket; }

    void add_descriptors(std::vector<int>& all) const {
        for (const Back& back : backs_)
            all.push_back(back.socket);
    }

    /// What clients sent to a service: one batch.
    void read_front(Front& front);
    /// A query that a predecessor took and left.
    void ask(Front& front, const SocketAddress& client, std::vector<std::uint8_t>& message);
    /// What servers answered: one batch.
    void read_back(std::size_t back);
    /// ICMP errors about what was sent.
    void read_errors(std::size_t back);
    /// Sends what waits in the batches.
    void flush();

    bool send(Pending& pending, std::size_t which) override;
    void send_again(Pending& pending, std::size_t which) override;
    void forget(Pending& pending, std::size_t which) override;
    void deliver(Pending& pending, const std::uint8_t* message, std::size_t size,
                 bool lasts) override;
    void given_up(Pending& /*pending*/) override {}

private:
    static constexpr std::size_t batch = 64;

    /// Room for a batch of messages of any size.
    struct Inbox {
        Inbox();
        int receive(int socket);
        std::uint8_t* message(std::size_t i) { return buffers_.get() + i * stride; }
        // Not a multiple of the page: or else all headers would share a few cache lines.
        static constexpr std::size_t stride = 65536 + 192;
        std::unique_ptr<std::uint8_t[]> buffers_;
        std::array<mmsghdr, batch> headers{};
        std::array<iovec, batch> vectors{};
        std::array<SocketAddress, batch> peers;
    };
    /// A socket to the servers.
    struct Back {
        int socket = -1;
        /// By ID: the query that waits, and which of its tries; `nobody` else.
        std::unique_ptr<std::uint32_t[]> waiting;
    };
    static constexpr std::uint32_t nobody = UINT32_MAX;
    struct Outgoing {
        PendingIndex pending = no_pending;
        std::uint8_t which = 0;
        std::uint16_t channel = 0;
        std::uint16_t id = 0;
    };
    struct Answer {
        int socket = -1;
        SocketAddress client;
        iovec message{};
    };

    void take_query(Front& front, std::size_t at);
    void take_brought(Front& front, std::size_t at);
    void begin(const Queries::From& from, std::uint8_t* message, std::size_t size,
               const SocketAddress& peer);
    void take_answer(Back& back, std::size_t at);
    bool read_error(std::uint16_t channel);
    [[nodiscard]] std::uint16_t socket_for(Family family, bool transparent);
    void flush_queries();
    void send_run(std::size_t first, std::size_t last);
    void failed(const Outgoing& outgoing, int error);
    [[nodiscard]] Pending* still_waits(const Outgoing& outgoing);
    void flush_answers();

    Context& context_;
    Queries& queries_;
    Inbox inbox_;
    std::vector<Back> backs_;
    /// By family, then those that are transparent.
    static constexpr std::size_t groups = 4;
    std::array<std::vector<std::uint16_t>, groups> groups_;  ///< numbers of backs
    std::array<std::uint16_t, groups> present_{};            ///< of this batch
    std::vector<Outgoing> outgoing_;
    std::vector<Answer> answers_;
    // Of the calls that send.
    std::array<mmsghdr, batch> out_headers_{};
    std::array<std::array<iovec, 3>, batch> out_vectors_{};
    std::array<std::array<std::uint8_t, 2>, batch> out_ids_{};
    std::array<std::array<std::uint8_t, largest_proxy_header>, batch> proxy_headers_{};
    std::array<SourceAddress, batch> sources_{};
};

}  // namespace dnsdirector::dataplane::proxy
