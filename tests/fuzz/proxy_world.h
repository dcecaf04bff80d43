// SPDX-License-Identifier: Apache-2.0
//
// A worker of the proxy plane with its services, clients and servers, and what may happen.
#pragma once

#include <array>
#include <memory>

#include "dataplane/proxy/tcp_path.h"
#include "dataplane/proxy/to_all.h"
#include "dataplane/proxy/udp_path.h"
#include "fuzz/fuzz_input.h"
#include "fuzz/proxy_asked.h"

namespace dnsdirector::fuzz {

class World {
public:
    explicit World(Input& input);
    void step(Input& input);
    /// Everybody leaves, time passes, and nothing may be left.
    void end();

private:
    struct Asking {  ///< a query at a server
        int socket;
        SocketAddress server;
        std::size_t header;  ///< of the PROXY protocol
        Octets message;
    };

    void settle(std::uint8_t choice, std::uint8_t more);
    std::shared_ptr<const proxy::Service> service(Protocol protocol, core::Scheduler scheduler,
                                                  std::size_t servers);
    [[nodiscard]] std::shared_ptr<const proxy::ToAll> to_all(const proxy::Service& service) const;
    void turn();
    bool deliver_events();

    [[nodiscard]] Octets as_sent(const Octets& message) const;
    [[nodiscard]] bool is_brought(std::size_t client) const;
    void client_asks(Input& input, bool made);
    void server_answers(Input& input);
    void server_sends(Input& input);
    void icmp(Input& input);
    void client_connects();
    void client_writes(Input& input, bool made);
    void client_leaves(Input& input);
    void server_accepts(Input& input);
    void server_writes(Input& input, bool made);
    void time_passes(Input& input);
    void network_changes(Input& input);

    void on_datagram(int socket, const SocketAddress& to, const Octets& bytes);
    void on_bytes(int socket, const std::uint8_t* bytes, std::size_t size);
    static void check_header(const std::uint8_t* bytes, bool tcp);

    Network& net_;
    Asked asked_;
    proxy::Happenings happenings_;
    proxy::Context context_;
    proxy::ClientCounts counts_{6, 4};
    std::unique_ptr<proxy::Queries> queries_;
    std::unique_ptr<proxy::UdpPath> udp_;
    std::unique_ptr<proxy::TcpPath> tcp_;
    std::vector<std::shared_ptr<proxy::Upstream>> upstreams_;      ///< UDP, then TCP
    std::vector<std::shared_ptr<const proxy::Service>> services_;  ///< that were in force
    proxy::Front udp_front_, tcp_front_;
    std::vector<std::size_t> backs_;
    core::Scheduler scheduler_ = core::Scheduler::wrr;
    core::ClientSubnet subnet_;
    std::uint32_t answers_to_all_ = 0;

    std::vector<Asking> udp_asked_;
    std::map<int, std::vector<Octets>> tcp_asked_;  ///< by connection to a server
    std::map<int, Octets> headers_;                 ///< of the PROXY protocol, likewise
    std::map<int, Framed> streams_;                 ///< that the plane writes
    std::map<int, Framed> written_;                 ///< that clients write
    std::vector<int> clients_;                      ///< connections
    std::vector<int> servers_;
};

}  // namespace dnsdirector::fuzz
