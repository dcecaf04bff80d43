// SPDX-License-Identifier: Apache-2.0
//
// What clients and servers may send to the proxy plane. The first byte chooses the direction;
// over TCP the rest is a stream that comes in pieces. Held: reading ends and reads nothing
// outside; what counts as an answer has the question at its place; what the proxy answers
// itself is an answer to the query; a stream yields the same messages however it is cut; of a
// PROXY header every beginning is a part of one; a client subnet that was put into a query comes
// out again, with nothing else; and what a predecessor left is read as it was written.
#include <cstdlib>
#include <vector>

#include "dataplane/proxy/client_subnet.h"
#include "dataplane/proxy/handover.h"
#include "dataplane/proxy/proxy_header.h"
#include "dataplane/proxy/stream.h"
#include "dataplane/proxy/transfer.h"
#include "dataplane/proxy/wire.h"

namespace {

using namespace dnsdirector::dataplane::proxy;
using Octets = std::vector<std::uint8_t>;

void require(bool held) {
    if (!held) std::abort();
}

void from_client(const Octets& bytes) {
    const Query query = read_query(bytes);
    if (query.kind == Query::Kind::not_a_query) return;
    const std::size_t question = query.kind == Query::Kind::fine ? query.question_size : 0;
    require(header_size + question <= bytes.size() && question <= largest_question);
    Octets out(header_size + question);
    require(make_answer(bytes, question, Rcode::servfail, out.data()) == out.size());
    require(load16(out.data()) == load16(bytes.data()) && is_response(out.data()));
    require(answers(out, Bytes(bytes).subspan(header_size, question), query.opcode));
    (void)hash_of_name(Bytes(bytes).subspan(header_size, question));
}

/// The first bytes are the query's size, then come query and reply.
void from_server(const Octets& bytes) {
    if (bytes.empty()) return;
    const std::size_t size = std::min<std::size_t>(bytes[0], bytes.size() - 1);
    const Octets asked(bytes.begin() + 1, bytes.begin() + 1 + static_cast<std::ptrdiff_t>(size));
    const Octets reply(bytes.begin() + 1 + static_cast<std::ptrdiff_t>(size), bytes.end());
    TransferEnd end;
    (void)end.is_last(reply);
    const Query query = read_query(asked);
    if (query.kind != Query::Kind::fine) return;
    const Bytes question = Bytes(asked).subspan(header_size, query.question_size);
    if (!answers(reply, question, query.opcode)) return;
    require(reply.size() >= header_size && is_response(reply.data()));
    if (load16(&reply[4]) == 1)
        require(std::equal(question.begin(), question.end(), reply.begin() + header_size));
}

std::vector<Octets> messages_of(Octets stream, std::size_t piece) {
    std::vector<Octets> got;
    Inbox inbox;
    for (std::size_t at = 0; at < stream.size(); at += piece)
        inbox.feed(std::span(stream).subspan(at, std::min(piece, stream.size() - at)),
                   [&](std::uint8_t* message, std::size_t size) {
                       got.emplace_back(message, message + size);
                       return true;
                   });
    return got;
}

void from_balancer(const Octets& bytes) {
    const ProxyHeader header = read_proxy_header(bytes);
    if (header.kind == ProxyHeader::Kind::part) require(bytes.size() < largest_read_header);
    if (header.kind != ProxyHeader::Kind::whole) return;
    require(header.size <= bytes.size() && header.size <= largest_read_header);
    if (header.names_client) require(header.client.is_v4() == header.asked.is_v4());
    for (std::size_t size = 0; size < header.size; ++size)
        require(read_proxy_header(Bytes(bytes).first(size)).kind == ProxyHeader::Kind::part);
}

/// The first two bytes are the lengths.
void with_subnet(const Octets& bytes) {
    if (bytes.size() < 2) return;
    const dnsdirector::core::ClientSubnet lengths{static_cast<std::uint8_t>(bytes[0] % 33),
                                                  static_cast<std::uint8_t>(bytes[1] % 129)};
    const Octets query(bytes.begin() + 2, bytes.end());
    const auto client = SocketAddress(
        *dnsdirector::Endpoint::parse(bytes[0] < 128 ? "198.51.100.255:1" : "[2001:db8::ff]:1"));
    for (const Added each : {Added::option, Added::opt}) {
        Octets answer = query;
        if (query.size() < header_size) return;
        require(take_out_client_subnet(answer.data(), answer.size(), each) <= query.size());
    }
    if (read_query(query).kind != Query::Kind::fine) return;
    Octets changed = query;
    auto size = static_cast<std::uint32_t>(query.size());
    changed.resize(size + most_added);
    const Added added = add_client_subnet(changed.data(), size, client, lengths);
    require(size >= query.size() && size <= changed.size());
    changed.resize(size);
    require((added == Added::nothing) == (size == query.size()));
    changed.resize(take_out_client_subnet(changed.data(), size, added));
    require(changed == query);
}

void from_predecessor(const std::string& text) {
    const auto handover = handover_of(text);
    if (handover) require(*handover_of(to_text(*handover)) == *handover);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    // A copy of exact size, so that reading one byte too far is seen.
    const Octets bytes(data + 2, data + size);
    switch (data[0] % 6) {
        case 0: from_client(bytes); break;
        case 1: from_server(bytes); break;
        case 2: require(messages_of(bytes, 1 + data[1]) == messages_of(bytes, SIZE_MAX / 2)); break;
        case 4: from_balancer(bytes); break;
        case 5: with_subnet(bytes); break;
        default: from_predecessor(std::string(bytes.begin(), bytes.end()));
    }
    return 0;
}
